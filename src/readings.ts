/* A job's raw readings, as numbers that a row can hold: `opts.timestamp` and the like may be anything. */

/** The greatest time a row holds: the end of the year 9999, less the steps of the time law. */
export const MAX_TIME = 253_402_300_799_000;

/** The greatest count a row holds: Postgres' integer. */
const MAX_INT = 2_147_483_647;

export function isTime(ms: number | null | undefined): ms is number {
  return typeof ms === 'number' && Number.isFinite(ms) && ms > 0;
}

/** A time as a whole number of ms; `null` for what is none. */
export function toTime(ms: number | null | undefined): number | null {
  return isTime(ms) ? Math.min(Math.trunc(ms), MAX_TIME) : null;
}

/** A count, 0 for what is none. */
export function toCount(count: number | undefined): number {
  return typeof count === 'number' && count > 0 ? Math.min(Math.trunc(count), MAX_INT) : 0;
}

import type { JobStatus, JsonValue } from '../../../src/types.ts';
import { storeWith } from './base.ts';

/* What a database's client may make of rows. */

const OF_JOBS = ['name', 'progress', 'result', 'data', 'metadata'] as const;

/** A store that gives the job's own values back as something else. */
export function valuesAs(change: (value: JsonValue) => unknown) {
  return () =>
    storeWith({
      show(row) {
        const changed = OF_JOBS.map((field) => [field, change(row[field])] as const);
        return { ...row, ...(Object.fromEntries(changed) as Partial<JobStatus>) };
      },
    });
}

/** Changes every value within a value, from its leaves up. */
export function deeply(change: (value: JsonValue) => unknown) {
  const within = (value: JsonValue): unknown =>
    change(JSON.parse(JSON.stringify(value), (_, each: JsonValue) => change(each)) as JsonValue);
  return valuesAs(within);
}

/** What a row then has not. */
export const GONE = Symbol('left out');

/** A store that gives rows back as something else. */
export function rowsAs(change: (field: keyof JobStatus, value: unknown) => unknown) {
  const show = (row: JobStatus) => {
    const fields = Object.entries(row) as [keyof JobStatus, unknown][];
    const changed = fields.map(([field, value]) => [field, change(field, value)] as const);
    return Object.fromEntries(changed.filter(([, value]) => value !== GONE)) as never as JobStatus;
  };
  return () => storeWith({ show });
}

/** A store that keeps times in another form. */
export function timesAs(change: (time: Date) => Date) {
  return rowsAs((_, value) => (value instanceof Date ? change(value) : value));
}

export const isRecord = (value: unknown): value is { [key: string]: JsonValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

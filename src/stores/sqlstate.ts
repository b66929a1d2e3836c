import type { JobStatusErrorCode } from '../errors.ts';

/**
 * What an SQLSTATE says of a failed request (Postgres' manual, appendix A):
 *
 * - the data's own fault, so refused for good: 21 a job twice in a batch, 22 data exception, 23 constraint violation, 44 check
 *   option, 54 program limit (a key too long for its index), P0001 a trigger's `raise`;
 * - the database isn't set up: 3D, 3F no such database or schema, 28 bad login, 42 no such object or
 *   no right to it;
 * - all else passes: connections, deadlocks, time-outs, full disks, restarts.
 */
export function codeOfSqlState(state: string): JobStatusErrorCode {
  if (/^(21|22|23|44|54|P0001)/.test(state)) return 'ERR_STORE_REFUSED';
  if (/^(3D|3F|28|42)/.test(state)) return 'ERR_STORE_SETUP';
  return 'ERR_STORE_UNAVAILABLE';
}

/** Whether the message of it quotes a value that was to be stored: it is a data exception. */
export function quotesValue(state: string): boolean {
  return state.startsWith('22');
}

/** Whether it says that there is no such schema, table, column or function: that a migration was not run. */
export function isMissing(state: string): boolean {
  return ['3F000', '42P01', '42703', '42883'].includes(state);
}

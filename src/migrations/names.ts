import { describe, InvalidArgumentError } from '../errors.ts';

/** Where the table lies. Any name Postgres takes will do; it is quoted wherever it is used. */
export interface TableOptions {
  /** @default "public" */
  readonly schema?: string | undefined;
  /** At most 46 bytes, for the names of the table's constraint and function end in more. @default "job_status" */
  readonly table?: string | undefined;
}

/** The names of everything that belongs to one table, as they are and not quoted. */
export interface TableNames {
  readonly schema: string;
  readonly table: string;
  /** The function that merges a batch. */
  readonly writeFunction: string;
  /** The constraint that states the time law. */
  readonly timestampsCheck: string;
  readonly statusCheck: string;
}

/** Postgres cuts longer names off, without an error. */
const MAX_NAME_BYTES = 63;
const TIMESTAMPS_CHECK = '_timestamps_check';

/**
 * @throws {InvalidArgumentError} where a name is empty, too long, or holds `U+0000`
 */
export function tableNames({
  schema = 'public',
  table = 'job_status',
}: TableOptions = {}): TableNames {
  checkName('schema', schema, MAX_NAME_BYTES);
  checkName('table', table, MAX_NAME_BYTES - TIMESTAMPS_CHECK.length);
  return {
    schema,
    table,
    writeFunction: `${table}_write`,
    timestampsCheck: `${table}${TIMESTAMPS_CHECK}`,
    statusCheck: `${table}_status_check`,
  };
}

function checkName(option: string, name: unknown, maxBytes: number): void {
  const isName =
    typeof name === 'string' && name !== '' && !name.includes('\0') && name.isWellFormed();
  if (isName && Buffer.byteLength(name) <= maxBytes) return;
  throw new InvalidArgumentError(
    `Expected \`${option}\` to be a name of 1 to ${maxBytes} bytes, got ${describe(name)}`,
  );
}

/** A name as an SQL identifier. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as an SQL literal. The `E` form reads alike whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

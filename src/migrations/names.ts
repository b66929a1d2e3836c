import { toText } from '../storable.ts';
import { resolve, type Rule, type Rules } from '../validate.ts';

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
 * @throws {InvalidArgumentError} where a name is empty, too long, or holds `U+0000`, or an option is unknown
 */
export function tableNames(options?: TableOptions): TableNames {
  const { schema, table } = resolve('options', options, RULES) as { schema: string; table: string };
  return {
    schema,
    table,
    writeFunction: `${table}_write`,
    timestampsCheck: `${table}${TIMESTAMPS_CHECK}`,
    statusCheck: `${table}_status_check`,
  };
}

const RULES: Rules = {
  schema: nameRule('public', MAX_NAME_BYTES),
  table: nameRule('job_status', MAX_NAME_BYTES - TIMESTAMPS_CHECK.length),
};

function nameRule(fallback: string, maxBytes: number): Rule {
  return {
    expected: `a name of 1 to ${maxBytes} bytes`,
    holds: (name) =>
      typeof name === 'string' &&
      name !== '' &&
      name === toText(name) &&
      Buffer.byteLength(name) <= maxBytes,
    fallback,
  };
}

/** A name as an SQL identifier. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as an SQL literal. The `E` form reads alike whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** A tag to dollar-quote SQL with in which these names stand: one that none of them contains. */
export function dollarTag({ schema, table }: TableNames): string {
  let tag = '$sql$';
  while (`${schema}${table}`.includes(tag)) tag = `$_${tag.slice(1)}`;
  return tag;
}

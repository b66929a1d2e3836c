import { toText } from '../storable.ts';
import { resolve, type Rule, type Rules } from '../validate.ts';

/** Where the table lies. Any name Postgres takes will do; it is quoted wherever it is used. */
export interface TableOptions {
  /** @default "public" */
  readonly schema?: string | undefined;
  /** At most 46 bytes, for the names of the table's constraints, indexes and functions end in more. @default "job_status" */
  readonly table?: string | undefined;
}

/** The names of everything that belongs to one table. */
export interface TableNames {
  /** As they are, not quoted. */
  readonly schema: string;
  readonly table: string;
  /** The table of the attempts before the one that a row tells of. */
  readonly attemptsTable: string;
  /** The function that merges a batch. */
  readonly writeFunction: string;
  /** The function that deletes finished rows, so many at a time. */
  readonly pruneFunction: string;
  /** The function that gives rows by their ids, for those that have no room in a URL. */
  readonly byIdFunction: string;
  /** The function, and the trigger, that keeps an attempt when its row goes on to the next. */
  readonly keepFunction: string;
  /** The function, and the trigger, that keeps a job's attempts within their number. */
  readonly boundFunction: string;
  /** A name in the schema as SQL: `"public"."job_status"`. */
  readonly qualify: (this: void, name: string) => string;
}

/** Postgres cuts longer names off, without an error. */
const MAX_NAME_BYTES = 63;
const LONGEST_ENDING = '_timestamps_check';

const RULES: Rules = {
  schema: nameRule('public', MAX_NAME_BYTES),
  table: nameRule('job_status', MAX_NAME_BYTES - LONGEST_ENDING.length),
};

/**
 * @throws {InvalidArgumentError} where a name is empty, too long, or holds `U+0000`, or an option is unknown
 */
export function tableNames(options?: TableOptions): TableNames {
  return resolveNames(options, {}).names;
}

/**
 * The names, and what the options say beside them.
 *
 * @throws {InvalidArgumentError} as `tableNames`
 */
export function resolveNames(
  options: TableOptions | undefined,
  rules: Rules,
): { readonly names: TableNames; readonly rest: Readonly<Record<string, unknown>> } {
  const { schema, table, ...rest } = resolve('options', options, { ...RULES, ...rules });
  return { names: namesOf(schema as string, table as string), rest };
}

function namesOf(schema: string, table: string): TableNames {
  return {
    schema,
    table,
    attemptsTable: `${table}_attempts`,
    writeFunction: `${table}_write`,
    pruneFunction: `${table}_prune`,
    byIdFunction: `${table}_by_id`,
    keepFunction: `${table}_attempts_keep`,
    boundFunction: `${table}_attempts_max`,
    qualify: (name) => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`,
  };
}

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

/** A tag to dollar-quote SQL with in which these names stand: one that neither of them contains. */
export function dollarTag({ schema, table }: TableNames, word: string): string {
  let tag = `$${word}$`;
  while (`${schema} ${table}`.includes(tag)) tag = `$_${tag.slice(1)}`;
  return tag;
}

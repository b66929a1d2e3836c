import type { TableNames } from '../migrations/names.ts';

/** The options by which a command of the package's finds a table: none for the usual one. */
export function tableFlags({ schema, table }: TableNames): string {
  const flag = (name: string, value: string, usual: string) =>
    value === usual ? '' : ` --${name} ${shellQuote(value)}`;
  return flag('schema', schema, 'public') + flag('table', table, 'job_status');
}

function shellQuote(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

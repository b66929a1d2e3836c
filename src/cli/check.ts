import type { Command } from 'commander';
import { checkSchema, type SchemaReport } from '../migrations/index.ts';
import { withDatabase } from './database.ts';
import {
  addDatabaseOption,
  addTableOptions,
  commandLine,
  tableOptions,
  tableTitle,
  type DatabaseFlags,
  type TableFlags,
} from './options.ts';

const EXAMPLES = `
Exit code: 0 where all is in order, 1 where it is not or could not be looked at.

Example:
  $ DATABASE_URL=postgres://… npx bullmq-job-status check`;

export function addCheck(program: Command): void {
  const command = program
    .command('check')
    .summary("say how a database's table differs from this version's")
    .description(
      'Says how the table, its indexes, functions and rights in a database differ from what this version sets up. Changes nothing. Needs the package pg.',
    );
  addDatabaseOption(addTableOptions(command)).addHelpText('after', EXAMPLES).action(check);
}

async function check(flags: TableFlags & DatabaseFlags): Promise<void> {
  const options = tableOptions(flags);
  const report = await withDatabase(flags, (client) => checkSchema(client, options));
  const title = tableTitle(options);
  if (report.differences.length === 0) {
    console.log(`${title} is in order, at schema version ${report.installed}`);
    return;
  }
  // Differences are what was asked for, so they go to stdout.
  console.log(
    [
      `${title} is not in order:`,
      ...report.differences,
      ...remedy(report, flags.databaseUrl, options),
    ].join('\n'),
  );
  process.exitCode = 1;
}

function remedy(
  { installed, current, differences }: SchemaReport,
  databaseUrl: string | undefined,
  options: Required<TableFlags>,
): string[] {
  if (installed === null) return ['Choose another name for the table: --table <name>'];
  if (installed > current) return ['Run: npm install bullmq-job-status@latest'];
  // Of the same version only functions are made anew, and what the server's role may do.
  const isMade = (each: string) => /^function |^service_role may not /.test(each);
  if (installed === current && !differences.every(isMade))
    return [`Put it back by hand: ${commandLine('init --print', options)} shows how each is made`];
  const where = databaseUrl === undefined ? '' : ', with the same --database-url';
  const lines = [`Run${where}: ${commandLine('migrate', options)}`];
  // At the same version the migration is saved already, and a new one would say nothing new.
  if (installed < current) {
    const init = commandLine('init --supabase', options);
    lines.push(`Or, with Supabase's CLI: ${init} && supabase db push`);
  }
  return lines;
}

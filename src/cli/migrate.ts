import type { Command } from 'commander';
import { codeOf, messageOf } from '../errors.ts';
import { checkSchema, migrate } from '../migrations/index.ts';
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

interface MigrateFlags extends TableFlags, DatabaseFlags {
  readonly realtime?: true;
}

const EXAMPLES = `
Examples:
  $ DATABASE_URL=postgres://… npx bullmq-job-status migrate
  $ npx bullmq-job-status migrate --schema tracking --table jobs`;

export function addMigrate(program: Command): void {
  const command = program
    .command('migrate')
    .summary('set the table up in a database, or bring it to this version')
    .description(
      'Sets the table up in a database, or brings it from an earlier version to this one. It may be run again, and by many at once. Needs the package pg.',
    )
    .option('--realtime', "have Supabase's Realtime send the table's changes");
  addDatabaseOption(addTableOptions(command)).addHelpText('after', EXAMPLES).action(runMigrate);
}

async function runMigrate(flags: MigrateFlags): Promise<void> {
  const options = tableOptions(flags);
  const report = await withDatabase(flags, async (client) => {
    await migrate(client, { ...options, realtime: flags.realtime }).catch(explain);
    return checkSchema(client, options).catch(unlessNotAllowed);
  });
  if (report === undefined) {
    const why = 'this role may not create temporary tables';
    console.log(`${tableTitle(options)} was migrated, and not checked: ${why}`);
    return;
  }
  const { installed, current, differences } = report;
  const state = `${tableTitle(options)} is at schema version ${installed}`;
  if (installed !== null && installed > current) {
    console.log(`${state}, newer than this package's ${current}: left as it is`);
  } else if (differences.length === 0) {
    console.log(state);
  } else {
    const howto = `${commandLine('init --print', options)} shows how each is made`;
    throw new Error([`${state}, but not in order; ${howto}:`, ...differences].join('\n'));
  }
}

function unlessNotAllowed(error: unknown): undefined {
  if (codeOf(error) !== '42501') throw error;
}

function explain(error: unknown): never {
  if (codeOf(error) !== '42501') throw error;
  const advice =
    'run it as the role that owns the table (and, with --realtime, the publication), or that may create it in its schema';
  throw new Error(`${messageOf(error)}: ${advice}`, { cause: error });
}

import { relative } from 'node:path';
import { Option, type Command } from 'commander';
import { messageOf } from '../errors.ts';
import { migrationSql } from '../migrations/index.ts';
import { tableNames } from '../migrations/names.ts';
import { addTableOptions, tableOptions, type TableFlags } from './options.ts';
import { saveMigration } from './supabase-migrations.ts';

interface InitFlags extends TableFlags {
  readonly supabase?: true;
  readonly print?: true;
  readonly realtime?: true;
}

const EXAMPLES = `
Examples:
  $ npx bullmq-job-status init --supabase
  $ npx bullmq-job-status init --print | psql -v ON_ERROR_STOP=1 "$DATABASE_URL"`;

export function addInit(program: Command): void {
  const command = program
    .command('init')
    .summary('give the SQL of the table: to the Supabase CLI, or to stdout')
    .description(
      'Gives the SQL that sets the table up, or brings it from an earlier version to this one.',
    )
    .option('--supabase', 'save it in supabase/migrations, unless it is there already')
    .addOption(new Option('--print', 'print it, and nothing else').conflicts('supabase'))
    .option('--realtime', "have Supabase's Realtime send the table's changes");
  addTableOptions(command).addHelpText('after', EXAMPLES).action(init);
}

async function init(flags: InitFlags, command: Command): Promise<void> {
  const options = tableOptions(flags);
  const sql = migrationSql({ ...options, realtime: flags.realtime });
  if (flags.print) {
    process.stdout.write(sql);
  } else if (flags.supabase) {
    // The SQL with Realtime does all that the SQL without it does.
    const enough = [sql, migrationSql({ ...options, realtime: true })];
    await save(sql, enough, options);
  } else {
    command.error('error: say where the SQL is to go: --supabase or --print');
  }
}

async function save(
  sql: string,
  enough: readonly string[],
  options: Required<TableFlags>,
): Promise<void> {
  const saved = await saveMigration(process.cwd(), sql, {
    isEnough: (found) => enough.some((each) => found.includes(each.trim())),
    isSameTable: (found) => createsTable(found, options),
  }).catch((error: unknown) => {
    throw new Error(`Can't save the migration: ${messageOf(error)}`, { cause: error });
  });
  const path = relative(process.cwd(), saved.path);
  console.log(saved.isNew ? `Wrote ${path}` : `Nothing to write: ${path} holds this SQL already`);
  console.log('Next, where it was not run yet: `supabase db push` for the linked project,');
  console.log('or `supabase migration up` for the local one');
}

/** Whether a migration is about this table: the SQL of every version makes it, where it is missing. */
function createsTable(sql: string, options: Required<TableFlags>): boolean {
  const { table, qualify } = tableNames(options);
  return ['create table', 'create table if not exists'].some((create) =>
    sql.includes(`${create} ${qualify(table)} (`),
  );
}

import { InvalidArgumentError as InvalidFlagError, Option, type Command } from 'commander';
import { InvalidArgumentError } from '../errors.ts';
import { quoteIdentifier, tableNames } from '../migrations/names.ts';
import { tableFlags } from '../stores/setup.ts';

/** Which table a command is about, as given. */
export interface TableFlags {
  readonly schema?: string;
  readonly table?: string;
}

export interface DatabaseFlags {
  readonly databaseUrl?: string;
}

export function addTableOptions(command: Command): Command {
  return command
    .option('--schema <name>', 'schema of the table (default: public)')
    .option('--table <name>', 'name of the table (default: job_status)');
}

export function addDatabaseOption(command: Command): Command {
  return command.option(
    '--database-url <url>',
    'postgres://user:password@host:port/database (default: DATABASE_URL of the environment)',
  );
}

/** Which queue a command is about, as given. */
export interface QueueFlags {
  readonly queue: string;
  readonly prefix?: string;
  readonly redisUrl?: string;
  readonly queueDatabaseUrl?: string;
}

export function addQueueOptions(command: Command): Command {
  return command
    .requiredOption('--queue <name>', "the queue's name, without its prefix", queueName)
    .option('--prefix <prefix>', "the queue's key prefix in Redis (default: bull)")
    .option(
      '--redis-url <url>',
      'redis://user:password@host:port/0 (default: REDIS_URL of the environment)',
    )
    .addOption(
      new Option(
        '--queue-database-url <url>',
        "where the queue is kept in BullMQ's own Postgres backend, instead of Redis",
      ).conflicts(['redisUrl', 'prefix']),
    );
}

function queueName(given: string): string {
  if (given === '') throw new InvalidFlagError('It is empty.');
  if (given.includes(':'))
    throw new InvalidFlagError('A prefix before the ":" goes into --prefix.');
  return given;
}

/** The table that the flags name, as the library's functions take it. */
export function tableOptions(flags: TableFlags): Required<TableFlags> {
  try {
    const { schema, table } = tableNames({ schema: flags.schema, table: flags.table });
    return { schema, table };
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    // Said in the words of the command line.
    const message = error.message.replace(/`options\.(\w+)`/, '--$1');
    throw new InvalidArgumentError(message, { cause: error });
  }
}

/** The table's name as people write it: `public.job_status`, quoted only where SQL asks for it. */
export function tableTitle({ schema, table }: Required<TableFlags>): string {
  const identifier = (name: string) => (/^[a-z_]\w*$/.test(name) ? name : quoteIdentifier(name));
  return `${identifier(schema)}.${identifier(table)}`;
}

/** A command of this program about a table, to be pasted into a shell. */
export function commandLine(command: string, table: Required<TableFlags>): string {
  return `npx bullmq-job-status ${command}${tableFlags(tableNames(table))}`;
}

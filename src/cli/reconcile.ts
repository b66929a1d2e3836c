import { InvalidArgumentError, type Command } from 'commander';
import { codeOf } from '../errors.ts';
import { reconcile, type ReconcileReport } from '../reconcile.ts';
import { PostgresStatusStore } from '../stores/postgres.ts';
import { withDatabase } from './database.ts';
import {
  addDatabaseOption,
  addQueueOptions,
  addTableOptions,
  tableOptions,
  type DatabaseFlags,
  type QueueFlags,
  type TableFlags,
} from './options.ts';
import { withQueue } from './queue.ts';

interface ReconcileFlags extends TableFlags, DatabaseFlags, QueueFlags {
  readonly values: boolean;
  readonly olderThan?: number;
  readonly endedWithin?: number;
  readonly batchSize?: number;
}

const NOTES = `
It has no hooks of yours: where your tracking redacts values, or keeps some out, add --no-values. Rows then keep
the values that they have, and new ones have none. Metadata of yours it can't add to new rows, nor leave out the
jobs that a filter of yours does; a program can.

There is no default for Redis: rows of jobs that the named one doesn't know become removed, until this is
run again with the right one.
Exit code: 0 where all could be looked at and stored, 1 where not, or where it was stopped (Ctrl-C).

Examples:
  $ npx bullmq-job-status reconcile --queue exports
  $ npx bullmq-job-status reconcile --queue exports --prefix eu --older-than 5m`;

export function addReconcile(program: Command): void {
  const command = program
    .command('reconcile')
    .summary('hold the rows of a queue against the queue, and repair them')
    .description(
      'Holds the rows of jobs that have not ended against their queue, and the queue against its rows, and repairs what differs. It may be run at any time, beside workers, and by many at once. Needs the packages bullmq and pg.',
    );
  addQueueOptions(command)
    .option(
      '--older-than <duration>',
      'leave rows alone that changed within this time: 90s, 5m, 1h (default: 1m)',
      milliseconds,
    )
    .option(
      '--ended-within <duration>',
      'look at jobs too that ended within this time: 10m, 12h, 1d (default: 10m)',
      milliseconds,
    )
    .option('--no-values', 'take no progress, result or error off the queue')
    .option('--batch-size <jobs>', 'jobs in one look, 1 to 500 (default: 500)', batchSize);
  addDatabaseOption(addTableOptions(command)).addHelpText('after', NOTES).action(runReconcile);
}

async function runReconcile(flags: ReconcileFlags): Promise<void> {
  const options = tableOptions(flags);
  const refused: string[] = [];
  const onError = (error: Error) => {
    // All others are tried again, and told in the end if that was in vain.
    if (codeOf(error) === 'ERR_STORE_REFUSED') refused.push(error.message);
  };
  const startedAt = performance.now();
  const report = await withDatabase(flags, (client) =>
    withQueue(flags, (queue) =>
      reconcile(queue, new PostgresStatusStore(client, options), {
        olderThan: flags.olderThan,
        endedWithin: flags.endedWithin,
        batchSize: flags.batchSize,
        capture: { progress: flags.values, result: flags.values, error: flags.values },
        signal: interruption(),
        onError,
      }),
    ),
  );
  console.log(verdict(flags.queue, report, performance.now() - startedAt));
  if (refused.length > 0) {
    const rows = refused.length === 1 ? '1 row was' : `${refused.length} rows were`;
    throw new Error(`${rows} refused by the database: ${refused[0]}`);
  }
}

function verdict(queue: string, report: ReconcileReport, ms: number): string {
  const { checked, repaired, removed, added, contradicted, reads } = report;
  const work = `${reads} reads of the queue, ${(ms / 1000).toFixed(1)} s`;
  const found = `${checked} checked, ${repaired} repaired, ${removed} removed, ${added} added`;
  // It happens where clocks were set back, or a queue has lost its last writes; else it would only puzzle.
  const shown = contradicted.slice(0, 10).join(', ') + (contradicted.length > 10 ? ', ...' : '');
  const left = contradicted.length === 0 ? '' : `, ${contradicted.length} contradicted: ${shown}`;
  return `${queue}: ${found}${left} (${work})`;
}

/** Aborts at the first Ctrl-C, or when the process is told to end; a second one ends it as ever. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const reason = new Error('Stopped before it was done; what it had repaired stays so');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => controller.abort(reason));
  }
  return controller.signal;
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const YEAR_MS = 31_536_000_000;

function milliseconds(duration: string): number {
  const [, count = '', unit = ''] = /^(\d+)(ms|s|m|h|d)$/.exec(duration) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? Number.NaN);
  if (ms <= YEAR_MS) return ms;
  throw new InvalidArgumentError('Expected a duration up to 365d, such as 90s, 5m or 1h.');
}

function batchSize(jobs: string): number {
  const count = /^\d+$/.test(jobs) ? Number(jobs) : 0;
  if (count >= 1 && count <= 500) return count;
  throw new InvalidArgumentError('Expected a whole number from 1 to 500.');
}

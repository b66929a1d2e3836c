import type { JobStatus } from 'bullmq-job-status';
import { KINDS } from './jobs.ts';
import { tableOf } from './table.ts';
import type { Verdict } from './verify.ts';

/** What can't be read off the rows. */
export interface Measured {
  /** From the end of the last job until the database said that all have ended. */
  readonly storedAfterMs: number;
  readonly requestsPerJob: number;
  /** Jobs that BullMQ itself still held in the end: with `removeOnComplete`, the failed ones. */
  readonly knownToBullMQ: number;
  readonly constraintViolations: number;
}

const ROWS_PER_KIND = 2;

/** What the database holds in the end, and whether it is true. */
export function printReport(
  rows: readonly JobStatus[],
  verdict: Verdict,
  measured: Measured,
): void {
  const shown = Object.keys(KINDS).flatMap((name) =>
    // `list` gives the newest first; the first of each kind read better.
    rows
      .filter((row) => row.name === name)
      .slice(-ROWS_PER_KIND)
      .toReversed(),
  );
  console.log(
    `\nRead back from the database, ${ROWS_PER_KIND} rows of each kind (times in UTC):\n`,
  );
  console.log(`${tableOf(shown)}\n`);

  const { jobs, faults, breakTimeLaw } = verdict;
  const { storedAfterMs, requestsPerJob, knownToBullMQ, constraintViolations } = measured;
  const isRight = faults.length === 0;
  printFacts([
    ['rows by status', countsOf(rows)],
    [isRight ? 'every row right' : 'rows right', `${jobs - faults.length} of ${jobs}`],
    ['rows that break the time law', breakTimeLaw],
    ["constraints violated, by Postgres' log", constraintViolations],
    ['all rows true after the last job', `${storedAfterMs} ms`],
    ['HTTP requests per job', requestsPerJob.toFixed(2)],
    ['jobs that BullMQ still knows', `${knownToBullMQ}; of the rest only the rows are left`],
  ]);
  // Should the package ever be wrong, a few lines say where; all of them would bury it.
  for (const fault of faults.slice(0, 10)) console.log(`  ${fault}`);

  console.log('\nThe line that does it is in examples/demo/main.ts; README.md tells the rest.');
  console.log('`npm test` runs every test on the same real parts.\n');
}

function countsOf(rows: readonly JobStatus[]): string {
  const counts = new Map<string, number>();
  for (const { status } of rows) counts.set(status, (counts.get(status) ?? 0) + 1);
  // The largest first: where one stands out, it is seen.
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([status, count]) => `${count} ${status}`)
    .join(', ');
}

/** One fact a line, the colons below each other. */
function printFacts(facts: readonly (readonly [label: string, value: string | number])[]): void {
  const width = Math.max(...facts.map(([label]) => label.length));
  for (const [label, value] of facts) console.log(`  ${label.padStart(width)}: ${value}`);
}

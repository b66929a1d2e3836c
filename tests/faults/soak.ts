import { Command, InvalidArgumentError } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFaults } from './support/soak-faults.ts';
import { runLoad } from './support/soak-load.ts';
import { createSampler, judge, type Sample } from './support/soak-measure.ts';
import { createRowCheck } from './support/soak-rows.ts';
import { openScene } from './support/soak-scene.ts';

/*
 * Half an hour of everything at once: jobs of every kind, faults on every way, trackers and workers that
 * come and go. What leaks shows as a line that rises, what is lost as a row that is wrong. Each round ends
 * in a quiet moment (no jobs, no fault, nothing to store), so that one sample can be held against another.
 */

const ROUND_MS = 15_000;
const LOAD_MS = 9_500;
const JOBS_PER_SECOND = 400;
/** Every fourth round, so once a minute. */
const RECONCILE_EVERY = 4;
/** After which connections that nobody uses are closed. */
const QUIET_MS = 1_500;

const { minutes } = new Command('soak')
  .description('Tracks two busy workers through faults, and fails where anything leaks or is wrong')
  .option('--minutes <n>', 'how long it takes', toMinutes, 30)
  .parse()
  .opts<{ minutes: number }>();

function toMinutes(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
}

const strays: string[] = [];
for (const event of ['unhandledRejection', 'uncaughtException', 'warning'] as const)
  process.on(event, (error: unknown) => {
    strays.push(`${event}: ${String(error)}`);
    // At once, for nothing may come after it.
    console.error(error);
  });

// Until all of it has gone well.
process.exitCode = 1;
await using scene = await openScene();
const { database, api, targets } = scene;
const breakFor = createFaults(database, api);
const rows = createRowCheck(targets);
const takeSample = createSampler(scene);
const samples: Sample[] = [];
let requests = 0;
let spoiled = 0;
let renewed = 0;

/** Two things end and begin anew while all else goes on. */
async function renew(): Promise<void> {
  for (let times = 0; times < 2; times++) {
    await sleep(LOAD_MS / 4);
    await scene.renewals[renewed++ % scene.renewals.length]?.();
  }
}

async function round(number: number): Promise<void> {
  const start = performance.now();
  await Promise.all([
    breakFor(LOAD_MS),
    runLoad(targets, JOBS_PER_SECOND / targets.length, LOAD_MS),
    renew(),
    number % RECONCILE_EVERY === 0 && scene.reconcile(10_000),
  ]);
  const beforeFlush = performance.now();
  await scene.flush();
  const flushMs = performance.now() - beforeFlush;
  if (number % RECONCILE_EVERY === 0) {
    await rows.check();
    for (const [key, what] of rows.wrong) console.error(`${key}: ${what}`);
    await rows.prune();
  }
  const answered = api.requests.splice(0);
  requests += answered.length;
  spoiled += answered.filter(({ fault }) => fault !== 'pass').length;
  await sleep(Math.max(QUIET_MS, ROUND_MS - (performance.now() - start)));
  const sample = await takeSample();
  samples.push(sample);
  tell(sample, flushMs);
}

function tell({ at, measures }: Sample, flushMs: number): void {
  const added = targets.reduce((sum, target) => sum + target.added, 0);
  const { pending, written, retried, dropped } = scene.totals();
  const rounded = Object.entries(measures).map(
    ([name, value]) => `${name} ${Math.round(value * 10) / 10}`,
  );
  console.log(
    [
      `${Math.round(at / 1_000)} s`,
      `${added} jobs`,
      `${written} written, ${retried} retried, ${dropped} dropped, ${pending} pending`,
      `flushed in ${Math.round(flushMs)} ms`,
      ...rounded,
      `${rows.wrong.size} rows wrong`,
    ].join(' | '),
  );
}

console.log(
  `${minutes} minutes, ${JOBS_PER_SECOND} jobs/s while jobs are added; a sample every ${ROUND_MS / 1_000} s`,
);
scene.start();
const end = performance.now() + minutes * 60_000;
for (let number = 1; performance.now() < end; number++) await round(number);
// What no event could tell is repaired now at the latest.
await scene.reconcile(0);
await rows.check(true);

const { table, faults } = judge(samples);
const totals = scene.totals();
console.log(table);
console.log(`Trackers: ${JSON.stringify(totals)}; errors told: ${JSON.stringify(scene.errors)}`);
console.log(
  `${renewed} times something began anew, ${scene.reconciled()} reconciliations; ${database.counts.cut} connections cut, ` +
    `${database.counts.answersLost} answers lost, ${requests} requests to the API, of which ${spoiled} went wrong`,
);
faults.push(...[...rows.wrong].slice(0, 20).map(([key, what]) => `${key}: ${what}`), ...strays);
if (rows.wrong.size > 0) faults.push(`${rows.wrong.size} rows are wrong`);
if (totals.refused + totals.dropped + totals.pending > 0)
  faults.push(`updates were lost: ${JSON.stringify(totals)}`);
// A run in which nothing broke shows nothing.
for (const [what, count] of Object.entries({
  ...database.counts,
  spoiled,
  retried: totals.retried,
}))
  if (count === 0) faults.push(`no fault came to anything: ${what} is 0`);
for (const fault of faults) console.error(fault);
console.log(faults.length > 0 ? 'FAILED' : 'Nothing leaks, and every row is right.');
if (faults.length === 0) process.exitCode = 0;

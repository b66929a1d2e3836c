import { Queue } from 'bullmq';
import { reconcile } from 'bullmq-job-status';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { agree, differences } from '../support/truth.ts';
import { isFull, record } from './support/figures.ts';
import { addJobs } from './support/load.ts';
import { openStage, type Stage } from './support/stage.ts';
import type { Reading, Task } from './support/tracked-worker.ts';
import { startWorkerProcess } from './support/worker-process.ts';

/*
 * The database goes, under load: two workers in processes of their own do the same jobs side by side, one of them
 * tracked, so that what slows a job for another reason slows both.
 */

const PER_SECOND = isFull ? 1_000 : 400;
const OUTAGE_MS = isFull ? 60_000 : 5_000;
const BEFORE_MS = isFull ? 15_000 : 2_000;
/** More jobs than a run can have. */
const MOST_JOBS = 500_000;

/** Both workers, and the load on both. */
async function underLoad(
  stage: Stage,
  options: Task['options'] = {},
  opts: Parameters<typeof addJobs>[2] = { removeOnComplete: true },
) {
  const { redis } = inject('parts');
  const untracked = new Queue(`untracked-${randomUUID()}`, { connection: redis });
  const common = { redis, jobMs: 2, jobs: MOST_JOBS };
  const [tracked, plain] = await Promise.all([
    startWorkerProcess(
      { ...common, queue: stage.name, databaseUrl: stage.databaseUrl, options },
      stage.output,
    ),
    startWorkerProcess({ ...common, queue: untracked.name }, stage.output),
  ]);
  const load = addJobs([stage.queue, untracked], PER_SECOND, opts);
  return {
    tracked,
    load,
    read: async () => {
      const [withTracking, without] = await Promise.all([tracked.read(), plain.read()]);
      return { tracked: withTracking, untracked: without };
    },
    async [Symbol.asyncDispose]() {
      await load.stop();
      for (const each of [tracked, plain]) await each[Symbol.asyncDispose]();
      await untracked.obliterate({ force: true });
      await untracked.close();
    },
  };
}

/** Side by side; generously, for a test. The figures are for people to read. */
function expectAsQuick({ tracked, untracked }: { tracked: Reading; untracked: Reading }): void {
  expect(tracked.p50).toBeLessThan(2 * untracked.p50 + 10);
  expect(tracked.p99).toBeLessThan(3 * untracked.p99 + 200);
}

/** What jobs took during a fault, as the table tells it. */
function slowed({ tracked, untracked }: { tracked: Reading; untracked: Reading }): string {
  return `p50 ${tracked.p50} ms, p99 ${tracked.p99} ms; untracked beside it ${untracked.p50} and ${untracked.p99} ms`;
}

const MB = (from: number, most: number) => `${from} -> ${most} MB`;

test('a database that is gone slows no job, and every row is right once it is back', async () => {
  await using stage = await openStage();
  await using run = await underLoad(stage);
  const { load, tracked } = run;
  await sleep(BEFORE_MS);
  const before = await run.read();
  await stage.database.refuse();
  await sleep(OUTAGE_MS);
  const during = await run.read();
  await stage.database.pass();
  await sleep(BEFORE_MS);
  await load.stop();
  const count = () => stage.store.count({ queue: stage.name, status: 'completed' });
  await expect.poll(count, { timeout: 60_000 }).toBe(load.added());
  const after = await run.read();

  expect(await differences(stage.store, stage.queue)).toEqual([]);
  expect(during.tracked.dropped).toBe(0);
  expect(after.tracked).toMatchObject({ pending: 0, dropped: 0, repeated: 0, unhandled: 0 });
  expect(Object.keys(after.tracked.errors)).toEqual(['ERR_STORE_UNAVAILABLE']);
  // What waits is there, at about the promised kilobyte each, and goes again.
  const waiting = during.tracked.pending;
  expect(waiting).toBeGreaterThan((PER_SECOND * OUTAGE_MS) / 1_000 / 2);
  expect(during.tracked.heap - before.tracked.heap).toBeLessThan(5 + waiting * 0.0015);
  expect(after.tracked.heap - before.tracked.heap).toBeLessThan(10);
  expectAsQuick(during);
  record({
    fault: 'the database refuses connections',
    load: `${PER_SECOND} jobs/s with removeOnComplete`,
    injected: `${OUTAGE_MS / 1_000} s, told ${after.tracked.errors['ERR_STORE_UNAVAILABLE']} times`,
    jobsSlowed: slowed(during),
    rowsWrong: `0 of ${load.added()}`,
    updatesLost: String(after.tracked.dropped),
    memory: `${MB(before.tracked.heap, during.tracked.heap)} with ${waiting} waiting, then ${after.tracked.heap} MB`,
  });
  await tracked.close();
}, 240_000);

test('past maxPending what is given up is told once, and reconcile mends what the queue still knows', async () => {
  await using stage = await openStage();
  const maxPending = isFull ? 20_000 : PER_SECOND;
  // Jobs stay in the queue, so that it knows what became of them.
  await using run = await underLoad(stage, { maxPending }, {});
  const { load, tracked } = run;
  await sleep(BEFORE_MS);
  const before = await run.read();
  await stage.database.refuse();
  await sleep(OUTAGE_MS);
  const during = await run.read();
  await stage.database.pass();
  await load.stop();
  await expect
    .poll(async () => (await tracked.read()).pending, { timeout: 60_000, interval: 500 })
    .toBe(0);
  const after = await run.read();
  const total = load.added();
  const missing = total - (await stage.store.count({ queue: stage.name, status: 'completed' }));
  const report = await reconcile(stage.queue, stage.store, { olderThan: 0 });
  await agree(stage.store, stage.queue, total);

  const { dropped, errors } = after.tracked;
  expect(during.tracked.pending).toBeLessThanOrEqual(maxPending + 2_000);
  expect(dropped).toBeGreaterThan(0);
  expect(missing).toBeLessThanOrEqual(dropped);
  const most = 3 + dropped / Math.max(2_000, maxPending / 10);
  expect(errors['ERR_UPDATES_DROPPED']).toBeLessThanOrEqual(most);
  expect(after.tracked).toMatchObject({ pending: 0, repeated: 0, unhandled: 0 });
  expect(during.tracked.heap - before.tracked.heap).toBeLessThan(5 + maxPending * 0.0015);
  const { told } = after.tracked;
  expect(told.updates).toBe(dropped);
  expectAsQuick(during);
  record({
    fault: 'the same, longer than maxPending allows',
    load: `${PER_SECOND} jobs/s, maxPending ${maxPending}`,
    injected: `${OUTAGE_MS / 1_000} s`,
    jobsSlowed: slowed(during),
    rowsWrong: `${missing} of ${total} ends not stored; 0 wrong after reconcile (${report.repaired} repaired, ${report.added} added)`,
    updatesLost: `${told.ends} ends and ${dropped - told.ends} starts, each told once, in ${errors['ERR_UPDATES_DROPPED']} reports`,
    memory: MB(before.tracked.heap, during.tracked.heap),
  });
  await tracked.close();
}, 240_000);

test('a database that answers late slows no job, and rows are as late as it is', async () => {
  await using stage = await openStage();
  await using run = await underLoad(stage);
  const { load, tracked } = run;
  await sleep(BEFORE_MS);
  await run.read();
  const lateMs = 300;
  stage.database.slowDown(lateMs);
  await sleep(OUTAGE_MS / 2);
  const during = await run.read();
  await stage.database.pass();
  await load.stop();
  const count = () => stage.store.count({ queue: stage.name, status: 'completed' });
  await expect.poll(count, { timeout: 60_000 }).toBe(load.added());
  const after = await run.read();
  expect(await differences(stage.store, stage.queue)).toEqual([]);
  expect(after.tracked).toMatchObject({ dropped: 0, repeated: 0, unhandled: 0, errors: {} });
  // The write under way, and the one that waits behind it.
  expect(during.tracked.lagMs).toBeGreaterThan(lateMs / 2);
  expect(during.tracked.pending).toBeLessThan(PER_SECOND * 3);
  expectAsQuick(during);
  record({
    fault: 'the database answers late',
    load: `${PER_SECOND} jobs/s with removeOnComplete`,
    injected: `each answer by ${lateMs} ms, for ${OUTAGE_MS / 2_000} s`,
    jobsSlowed: slowed(during),
    rowsWrong: `0 of ${load.added()}, up to ${during.tracked.lagMs} ms behind`,
    updatesLost: String(after.tracked.dropped),
    memory: `${during.tracked.pending} waiting`,
  });
  await tracked.close();
}, 240_000);

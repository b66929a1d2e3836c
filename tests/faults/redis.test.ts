import type { Job, JobsOptions, Queue } from 'bullmq';
import { attachStatusTracking, reconcile } from 'bullmq-job-status';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, test, vi } from 'vitest';
import { readAll } from '../support/rows.ts';
import { agree, differences } from '../support/truth.ts';
import { isFull, record } from './support/figures.ts';
import { openRedisStage, SHORT_LOCKS } from './support/redis-stage.ts';
import { countRepeats } from './support/repeats.ts';
import { openStage } from './support/stage.ts';
import { until, untilCompleted, untilDone } from './support/until.ts';

/*
 * What goes wrong with Redis, and with the locks in it. No promise goes unhandled meanwhile: the test runner
 * fails for each that does.
 */

vi.setConfig({ testTimeout: 240_000 });

/** Adds jobs, of which every fourth fails once, unless all fail so many times. */
async function addJobs(queue: Queue, count: number, failures?: number, opts?: JobsOptions) {
  const jobs = Array.from({ length: count }, (_, n) => ({
    name: 'job',
    data: { failures: failures ?? (n % 4 === 0 ? 1 : 0) },
    opts: { attempts: 3, ...opts },
  }));
  await queue.addBulk(jobs);
}

async function work(job: Job): Promise<unknown> {
  await sleep(20);
  await job.updateProgress(50);
  await sleep(20);
  if (job.attemptsStarted <= (job.data as { failures: number }).failures)
    throw new RangeError('once');
  return 'done';
}

test('Redis killed while jobs run, and started again: every row is right by itself', async () => {
  await using stage = await openRedisStage(work);
  const { queue } = stage;
  const [kills, jobs] = isFull ? [8, 400] : [1, 300];
  const start = performance.now();
  let downMs = 0;
  stage.run();
  for (let kill = 0; kill < kills; kill++) {
    await addJobs(queue, jobs);
    await untilCompleted(queue, kill * jobs + jobs / 4);
    const killedAt = performance.now();
    await stage.kill();
    // At night for longer than locks last.
    await sleep(isFull ? 3_000 : 300);
    await stage.restart();
    downMs += performance.now() - killedAt;
    expect(await untilDone(queue)).toBe((kill + 1) * jobs);
  }
  await agree(stage.store, queue, kills * jobs);
  expect(stage.repeats()).toBe(0);
  record({
    fault: 'Redis killed, and started again on what it had written',
    load: `${kills * jobs} jobs, 20 at once, in ${seconds(performance.now() - start)}`,
    injected: `${kills} ×, away for ${seconds(downMs / kills)}`,
    rowsWrong: String((await differences(stage.store, queue)).length),
    updatesLost: String(stage.lost()),
  });
  await stage.output.addRows(stage.store, queue.name);
});

test('Redis failed over to a replica that lacks the last writes: after `reconcile` every row says what the new primary does', async () => {
  const rounds = isFull ? 4 : 1;
  const figures = { jobs: 0, forgotten: 0, before: 0, after: 0, lost: 0 };
  for (let round = 0; round < rounds; round++) {
    await using stage = await openRedisStage(work);
    const { queue, store } = stage;
    const replica = await stage.startReplica();
    await addJobs(queue, 300);
    stage.run();
    await untilCompleted(queue, 60);
    await replica.fallBehind();
    // These the new primary will never have heard of, and it will give their ids to others.
    await addJobs(queue, 20, 2, { lifo: true });
    const ids = Array.from({ length: 20 }, (_, n) => String(301 + n));
    const ofReused = () => Promise.all(ids.map((id) => queue.getJobState(id)));
    await until(async () => (await ofReused()).every((state) => state === 'completed'));
    const known = await queue.getCompletedCount();
    await stage.kill();
    await replica.promote();
    // The first answer comes from the new primary, for the old one is dead.
    const left = await queue.getCompletedCount();
    // Of less attempts than those that the rows still tell of.
    await addJobs(queue, 20, 0);
    expect(await untilDone(queue)).toBe(320);
    figures.before += (await differences(store, queue)).length;
    await reconcile(queue, store, { olderThan: 0 });
    const wrong = await differences(store, queue);
    figures.after += wrong.length;
    expect(wrong).toEqual([]);
    await agree(store, queue, 320);
    expect(stage.repeats()).toBe(0);
    figures.jobs += 340;
    figures.forgotten += Math.max(0, known - left);
    figures.lost += stage.lost();
    await stage.output.addRows(store, queue.name);
  }
  record({
    fault: 'Redis failed over to a replica that lacks the last writes',
    load: `${figures.jobs} jobs, 20 at once`,
    injected: `${rounds} ×, ${figures.forgotten} ends forgotten, ${20 * rounds} ids used again`,
    rowsWrong: `${figures.after} (${figures.before} before \`reconcile\`)`,
    updatesLost: String(figures.lost),
  });
});

test('Redis failed over before it had taken in attempts that failed: after `reconcile` every row is right whose job started again more than 5 s after its lost attempt', async () => {
  let isDown = true;
  await using stage = await openRedisStage(async () => {
    if (isDown) throw new RangeError('down');
  });
  const { queue, store } = stage;
  await queue.pause();
  await addJobs(queue, 20);
  const replica = await stage.startReplica();
  await replica.fallBehind();
  await queue.resume();
  stage.run();
  // Each has failed for good, in its third attempt, of which the replica knows nothing.
  await until(async () => (await store.count({ queue: queue.name, status: 'failed' })) === 20);
  const lost = new Map(
    (await readAll(store, { queue: queue.name })).map((row) => [row.jobId, row.processedOn ?? 0]),
  );
  await stage.kill();
  isDown = false;
  await replica.promote();
  await queue.resume();
  expect(await untilDone(queue)).toBe(20);
  for (const worker of stage.workers) await worker.close();
  const { contradicted } = await reconcile(queue, store, { olderThan: 0 });
  // Rule 3 takes the third attempt for newer than the first, where rule 1 says nothing.
  const soon = (await queue.getCompleted()).filter(
    ({ id = '', processedOn = 0 }) => processedOn - (lost.get(id) ?? 0) <= 5_000,
  );
  const wrong = await differences(store, queue);
  expect(wrong).toHaveLength(soon.length);
  expect(contradicted.toSorted()).toEqual(soon.map(({ id = '' }) => id).toSorted());
  for (const { id } of soon) expect(wrong.join('\n')).toContain(`${queue.name} ${id}: failed,`);
  record({
    fault: 'Redis failed over to a replica that lacks attempts that failed',
    load: '20 jobs, each failed for good in its third attempt',
    injected: 'once; all attempts forgotten, and the jobs run again with success',
    rowsWrong: `${wrong.length}: those of ${soon.length} that started again within 5 s; \`reconcile\` names them as contradicted`,
  });
  await stage.output.addRows(store, queue.name);
});

test('Redis out of memory, so that no job can end: every row is right by itself once it has some again', async () => {
  await using stage = await openRedisStage(work);
  const { queue } = stage;
  const [times, jobs, ms] = isFull ? [4, 400, 8_000] : [1, 300, 1_500];
  let refusals = 0;
  for (const worker of stage.workers)
    worker.on('error', ({ message }) => void (refusals += Number(message.includes('OOM'))));
  stage.run();
  for (let time = 0; time < times; time++) {
    await addJobs(queue, jobs);
    await untilCompleted(queue, time * jobs + jobs / 4);
    await stage.command('config', 'set', 'maxmemory', '1mb');
    await sleep(ms);
    await stage.command('config', 'set', 'maxmemory', '0');
    expect(await untilDone(queue)).toBe((time + 1) * jobs);
  }
  await agree(stage.store, queue, times * jobs);
  expect(refusals).toBeGreaterThan(0);
  expect(stage.repeats()).toBe(0);
  record({
    fault: 'Redis out of memory: it takes no writes',
    load: `${times * jobs} jobs, 20 at once`,
    injected: `${times} ×, for ${seconds(ms)}: ${refusals} refusals`,
    rowsWrong: String((await differences(stage.store, queue)).length),
    updatesLost: String(stage.lost()),
  });
  await stage.output.addRows(stage.store, queue.name);
});

test('jobs that lose their locks, wait, and are taken over while the first worker still runs them: every row is right by itself, all the while', async () => {
  await using stage = await openStage();
  const { queue, store, output, name } = stage;
  const client = new Redis(inject('parts').redis);
  const [rounds, jobs] = [isFull ? 15 : 2, 40];
  let isPaused = Promise.withResolvers<void>();
  let lostLocks = 0;
  /** Half of those who lose their lock in their first attempt end at once, the others once they run elsewhere. */
  const process = async (job: Job) => {
    const { id = '', attemptsStarted } = job;
    const { n } = job.data as { n: number };
    if (attemptsStarted === 1) await isPaused.promise;
    if (attemptsStarted > 1 || n % 3 !== 0) return sleep(50);
    const deleted = await client.del(`${queue.toKey(id)}:lock`);
    lostLocks += deleted;
    const isTakenOver = async () => ((await queue.getJob(id))?.attemptsStarted ?? 0) > 1;
    if (n % 2 === 0) await until(isTakenOver);
    if (n % 4 === 0) throw new RangeError('too late');
    return job.updateProgress(99);
  };
  const workers = [1, 2].map(() => stage.worker(process, { concurrency: 20, ...SHORT_LOCKS }));
  const trackers = workers.map((worker) =>
    attachStatusTracking(worker, store, { onError: output.onError, logger: output.logger }),
  );
  const repeats = workers.map(countRepeats);
  for (const worker of workers) void worker.run();
  for (let round = 1; round <= rounds; round++) {
    const added = Array.from({ length: jobs }, (_, n) => ({ name: 'job', data: { n } }));
    await queue.addBulk(added);
    await until(async () => (await queue.getActiveCount()) === jobs);
    await queue.pause();
    isPaused.resolve();
    // The first worker still runs some of these.
    const waiting = Math.ceil(jobs / 3);
    await until(async () => (await store.count({ queue: name, status: 'waiting' })) === waiting);
    await agree(store, queue, round * jobs);
    isPaused = Promise.withResolvers();
    await queue.resume();
    expect(await untilDone(queue)).toBe(round * jobs);
    await agree(store, queue, round * jobs);
  }
  expect(lostLocks).toBe(rounds * Math.ceil(jobs / 3));
  expect(await store.count({ queue: name, status: 'completed' })).toBe(rounds * jobs);
  expect(repeats.map((each) => each())).toEqual([0, 0]);
  record({
    fault: "a job's lock lost, and the job taken over by another worker",
    load: `${rounds * jobs} jobs, ${jobs} at once`,
    injected: `${lostLocks} locks deleted`,
    rowsWrong: String((await differences(store, queue)).length),
    updatesLost: String(trackers.reduce((n, each) => n + each.stats().dropped, 0)),
  });
  client.disconnect();
});

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

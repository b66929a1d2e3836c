import type { Queue } from 'bullmq';
import { attachQueueTracking, reconcile } from 'bullmq-job-status';
import { expect, inject, test, vi } from 'vitest';
import { broken } from '../../src/testing/law.ts';
import { readAll } from '../support/rows.ts';
import { agree, differences } from '../support/truth.ts';
import { isFull, record } from './support/figures.ts';
import type { HostJob, HostReport } from './support/host.ts';
import { startHost } from './support/hosts.ts';
import { openStage, type Stage } from './support/stage.ts';
import { until, untilDone } from './support/until.ts';

/*
 * The clock of a worker's host is set back and forth while jobs run. Rule 1 of the law takes a start that reads
 * more than 5 s earlier for an earlier run, which it is everywhere but on a clock that was set back.
 */

vi.setConfig({ testTimeout: 240_000 });

const HOUR = 3_600_000;

const hostOn = ({ name, databaseUrl, output }: Stage) =>
  startHost({ queue: name, redis: inject('parts').redis, databaseUrl }, output);

/** As many jobs as the host runs at once; resolves to their ids once each has started. */
async function startJobs(queue: Queue, data: HostJob, count = 20): Promise<string[]> {
  const job = { name: 'job', data, opts: { attempts: 3 } };
  const added = await queue.addBulk(Array.from({ length: count }, () => job));
  await until(async () => (await queue.getActiveCount()) === count);
  return added.map(({ id = '' }) => id);
}

/** Resolves when so many attempts of each of these jobs have started. */
async function untilStarted(queue: Queue, ids: readonly string[], attempts: number): Promise<void> {
  await until(async () => {
    const jobs = await Promise.all(ids.map((id) => queue.getJob(id)));
    return jobs.every((job) => job?.attemptsStarted === attempts);
  });
}

test("a host's clock set back and forth by an hour: of jobs that run once every row is right by itself, and its times are in order", async () => {
  await using stage = await openStage();
  const { queue, store } = stage;
  await using host = await hostOn(stage);
  const rounds = isFull ? 20 : 2;
  const steps = [-HOUR, 0, HOUR, 0];
  let report: HostReport | undefined;
  let jobs = 0;
  for (let round = 0; round < rounds; round++) {
    for (const shiftMs of steps) {
      await startJobs(queue, { held: [1] });
      // Some wait meanwhile, and run wholly on the new time.
      await queue.addBulk(Array.from({ length: 20 }, () => ({ name: 'job', data: {} })));
      report = await host.order({ shiftMs, open: true });
      jobs += 40;
      expect(await untilDone(queue)).toBe(jobs);
    }
  }
  await agree(store, queue, jobs);
  expect(report?.repeats).toBe(0);
  expect(await host.kill('SIGTERM')).toBe(0);
  record({
    fault: "the host's clock set back and forth by an hour",
    load: `${jobs} jobs, 20 at once, that run once`,
    injected: `${rounds * steps.length} steps, 20 jobs in flight at each`,
    rowsWrong: String((await differences(store, queue)).length),
    updatesLost: String(report?.lost),
  });
});

test("a host's clock set forth by an hour, or back by less than 5 s, between two attempts: every row is right by itself", async () => {
  await using stage = await openStage();
  const { queue, store } = stage;
  await using host = await hostOn(stage);
  const rounds = isFull ? 10 : 1;
  let [jobs, now] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    for (const step of [HOUR, -4_000]) {
      await startJobs(queue, { held: [1], failures: 1 });
      now += step;
      await host.order({ shiftMs: now, open: true });
      jobs += 20;
      expect(await untilDone(queue)).toBe(jobs);
    }
  }
  await agree(store, queue, jobs);
  const { repeats, lost } = await host.order({});
  expect(repeats).toBe(0);
  expect(await host.kill('SIGTERM')).toBe(0);
  record({
    fault: "the host's clock set forth by an hour, or back by 4 s, between two attempts",
    load: `${jobs} jobs, 20 at once, each tried twice`,
    injected: `${2 * rounds} steps`,
    rowsWrong: String((await differences(store, queue)).length),
    updatesLost: String(lost),
  });
});

test("a host's clock set back by an hour between two attempts: rows keep the truth of the first, until an attempt starts on a later time", async () => {
  await using stage = await openStage();
  const { queue, store } = stage;
  await using host = await hostOn(stage);
  const jobs = isFull ? 20 : 10;
  // Half end in the attempt after the step, the others in the one after the clock was set right.
  const ended = await startJobs(queue, { held: [1, 2], failures: 1 }, jobs / 2);
  const again = await queue.addBulk(
    Array.from({ length: jobs / 2 }, () => ({
      name: 'job',
      data: { held: [1, 2], failures: 2 } satisfies HostJob,
      opts: { attempts: 3 },
    })),
  );
  const all = [...ended, ...again.map(({ id = '' }) => id)];
  await untilStarted(queue, all, 1);
  await host.order({ shiftMs: -HOUR, open: true });
  await untilStarted(queue, all, 2);

  const wrongOf = async () => {
    const found = await differences(store, queue);
    return all.filter((id) => found.some((each) => each.startsWith(`${stage.name} ${id}: `)));
  };
  const isFirst = { status: 'waiting', attempt: 1, attemptsMade: 1, completedAt: null };
  await until(async () => (await wrongOf()).length === jobs);
  const { repaired, contradicted } = await reconcile(queue, store, { olderThan: 0 });
  const wrongNow = await wrongOf();
  expect({ repaired, contradicted: contradicted.toSorted(), wrongNow }).toEqual({
    repaired: 0,
    contradicted: all.toSorted(),
    wrongNow: all,
  });

  await host.order({ shiftMs: 0, open: true });
  expect(await untilDone(queue)).toBe(jobs);
  await host.kill('SIGTERM');
  // Their third attempt started later than the first, by any clock.
  expect(await wrongOf()).toEqual(ended);
  const last = await reconcile(queue, store, { olderThan: 0 });
  expect(last.repaired).toBe(0);
  expect(last.contradicted.toSorted()).toEqual(ended.toSorted());
  const wrong = await wrongOf();
  expect(wrong).toEqual(ended);
  const rows = await readAll(store, { queue: stage.name });
  // An older truth, and a lawful row.
  expect(rows.flatMap((row) => broken(row))).toEqual([]);
  for (const row of rows.filter(({ jobId }) => ended.includes(jobId)))
    expect(row).toMatchObject(isFirst);
  record({
    fault: "the host's clock set back by an hour between two attempts",
    load: `${jobs} jobs, 20 at once, half of them tried twice, half three times`,
    injected: 'back after the first attempt, right again after the second',
    rowsWrong: `${wrong.length}: those whose last attempt ran on the clock that was set back; \`reconcile\` names them as contradicted`,
  });
});

test("a host's clock set back by an hour before it takes jobs that were seen waiting: rows keep that they wait, unless somebody else's clock sees them at work", async () => {
  await using stage = await openStage();
  const { queue, store, output } = stage;
  await using host = await hostOn(stage);
  const tracker = attachQueueTracking(queue, store, { onError: output.onError });
  const each = 10;
  await queue.pause();
  // The first end at once, the others once they are let go.
  await queue.addBulk(Array.from({ length: each }, () => ({ name: 'job', data: {} })));
  await queue.addBulk(Array.from({ length: each }, () => ({ name: 'job', data: { held: [1] } })));
  const ofStatus = (status: 'waiting' | 'completed') => store.count({ queue: stage.name, status });
  await until(async () => (await ofStatus('waiting')) === 2 * each);
  await tracker.close();
  await host.order({ shiftMs: -HOUR });
  await queue.resume();
  const counts = async () => [await queue.getCompletedCount(), await queue.getActiveCount()];
  await until(async () => (await counts()).join() === [each, each].join());
  const first = await reconcile(queue, store, { olderThan: 0 });
  await host.order({ open: true });
  expect(await untilDone(queue)).toBe(2 * each);
  // With this all that there is to tell of them was told and stored.
  expect(await host.kill('SIGTERM')).toBe(0);
  const second = await reconcile(queue, store, { olderThan: 0 });
  const wrong = (await differences(store, queue)).length;
  // What ended in the hour that was lived twice reads as older than what was seen in it the first time.
  expect([first.repaired, second.repaired, wrong]).toEqual([each, 0, each]);
  expect(second.contradicted).toHaveLength(each);
  expect([await ofStatus('waiting'), await ofStatus('completed')]).toEqual([each, each]);
  const rows = await readAll(store, { queue: stage.name });
  expect(rows.flatMap((row) => broken(row))).toEqual([]);
  record({
    fault:
      "the host's clock set back by an hour, before it takes jobs seen waiting by `attachQueueTracking`",
    load: `${2 * each} jobs, 20 at once, that run once`,
    injected: 'once; `reconcile` while half of them run',
    rowsWrong: `${wrong}: those that ended before; \`reconcile\` names them as contradicted`,
  });
});

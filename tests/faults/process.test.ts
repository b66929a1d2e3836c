import type { Job, Queue } from 'bullmq';
import { attachStatusTracking, MemoryStatusStore, reconcile } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, test, vi } from 'vitest';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { readAll } from '../support/rows.ts';
import { agree, differences } from '../support/truth.ts';
import { isFull, record } from './support/figures.ts';
import type { HostJob } from './support/host.ts';
import { startHost } from './support/hosts.ts';
import { countRepeats } from './support/repeats.ts';
import { openStage, type Stage } from './support/stage.ts';
import { until, untilCompleted, untilDone } from './support/until.ts';

/* What goes wrong with a worker's process. A rejection that nobody handles would end it, with another exit code. */

vi.setConfig({ testTimeout: 240_000 });

function hostOn({ name, databaseUrl }: Stage, options: { lockDuration?: number } = {}) {
  return { queue: name, redis: inject('parts').redis, databaseUrl, ...options };
}

async function addJobs(queue: Queue, count: number, job: (n: number) => HostJob): Promise<void> {
  const jobs = Array.from({ length: count }, (_, n) => ({
    name: 'job',
    data: job(n),
    opts: { attempts: 3 },
  }));
  await queue.addBulk(jobs);
}

const untilActive = (queue: Queue, count: number) =>
  until(async () => (await queue.getActiveCount()) >= count);

test('the event loop blocked for longer than its jobs’ locks last: another worker takes them over, and every row is right by itself', async () => {
  await using stage = await openStage();
  const { queue, store, output } = stage;
  const [times, blockMs, jobs] = isFull ? [4, 5_000, 200] : [1, 1_500, 60];
  await using host = await startHost(hostOn(stage, { lockDuration: 600 }), output);
  // Runs what the host lets go of, and tells of it.
  const other = stage.worker(({ attemptsStarted }: Job) => sleep(20, attemptsStarted), {
    concurrency: 5,
    stalledInterval: 300,
    maxStalledCount: 50,
  });
  let takenOver = 0;
  other.on('completed', ({ attemptsStarted }) => void (takenOver += Number(attemptsStarted > 1)));
  attachStatusTracking(other, store, { onError: output.onError });
  const repeats = countRepeats(other);
  let report = { repeats: 0, lost: 0, heapMb: 0 };
  let done = 0;
  for (let time = 0; time < times; time++) {
    await addJobs(queue, jobs, (n) => ({ ms: 100, failures: n % 5 === 0 ? 1 : 0 }));
    await untilActive(queue, 20);
    if (time === 0) void other.run();
    report = await host.order({ blockMs });
    done += jobs;
    expect(await untilDone(queue)).toBe(done);
  }
  await agree(store, queue, done);
  expect(takenOver).toBeGreaterThan(0);
  expect([repeats(), report.repeats]).toEqual([0, 0]);
  expect(await host.kill('SIGTERM')).toBe(0);
  record({
    fault: 'the event loop blocked for longer than a lock lasts',
    load: `${done} jobs of 100 ms, 25 at once`,
    injected: `${times} ×, ${blockMs / 1_000} s each, with locks of 0.6 s`,
    jobsSlowed: `${takenOver} taken over by another worker`,
    rowsWrong: String((await differences(store, queue)).length),
    updatesLost: String(report.lost),
    memory: `${report.heapMb} MB of heap`,
  });
});

test('the event loop blocked while locks last: jobs end late, and every row is right by itself', async () => {
  await using stage = await openStage();
  const { queue, store } = stage;
  const [times, blockMs, jobs] = isFull ? [4, 5_000, 400] : [1, 1_000, 100];
  await using host = await startHost(hostOn(stage), stage.output);
  let report = { repeats: 0, lost: 0, heapMb: 0 };
  for (let time = 1; time <= times; time++) {
    await addJobs(queue, jobs, (n) => ({ ms: 50, failures: n % 5 === 0 ? 1 : 0 }));
    await untilActive(queue, 20);
    report = await host.order({ blockMs });
    expect(await untilDone(queue)).toBe(time * jobs);
  }
  await agree(store, queue, times * jobs);
  expect(report.repeats).toBe(0);
  expect(await host.kill('SIGTERM')).toBe(0);
  record({
    fault: 'the event loop blocked',
    load: `${times * jobs} jobs of 50 ms, 20 at once`,
    injected: `${times} ×, ${blockMs / 1_000} s each`,
    rowsWrong: String((await differences(store, queue)).length),
    updatesLost: String(report.lost),
    memory: `${report.heapMb} MB of heap`,
  });
});

test('SIGTERM with work in flight: the process ends by itself once all that it ran is stored', async () => {
  const [times, jobs] = isFull ? [20, 400] : [2, 400];
  let [wrong, ran] = [0, 0];
  for (let time = 0; time < times; time++) {
    await using stage = await openStage();
    const { queue, store } = stage;
    await using host = await startHost(hostOn(stage), stage.output);
    await addJobs(queue, jobs, (n) => ({ ms: 40 + n, failures: n % 5 === 0 ? 1 : 0 }));
    await untilCompleted(queue, 5);
    await untilActive(queue, 10);
    expect(await host.kill('SIGTERM')).toBe(0);
    // Nothing is waited for: what the process did not store before its end, nobody does.
    const found = await differences(store, queue);
    expect(found).toEqual([]);
    expect(await queue.getActiveCount()).toBe(0);
    const completed = await queue.getCompletedCount();
    expect(await store.count({ queue: stage.name, status: 'completed' })).toBe(completed);
    expect(completed).toBeLessThan(jobs);
    wrong += found.length;
    ran += completed;
  }
  record({
    fault: 'SIGTERM with work in flight',
    load: `${times * jobs} jobs, 20 at once`,
    injected: `${times} ×, after ${ran} jobs, the last 20 or so in flight`,
    rowsWrong: String(wrong),
  });
});

/** Kills hosts under load, one after the other, and reconciles after each; the last one ends what is left. */
async function killed(backend: string) {
  await using stage = await openStage();
  await using own = newQueueOn(BACKENDS[backend]!);
  const { queue } = own;
  const { store, output } = stage;
  const url = new URL(stage.databaseUrl);
  url.searchParams.set('application_name', own.name);
  const task = {
    queue: own.name,
    databaseUrl: url.href,
    lockDuration: 600,
    ...(BACKENDS[backend]?.hasPrefix && { redis: inject('parts').redis }),
  };
  const [kills, jobs] = isFull ? [10, 1_000] : [2, 150];
  await addJobs(queue, jobs, (n) => ({ ms: 40, failures: n % 5 === 0 ? 1 : 0 }));
  const pool = stage.pool();
  const connections = 'select count(*)::int as n from pg_stat_activity where application_name = $1';
  let behind = 0;
  for (let kill = 1; kill <= kills; kill++) {
    await using host = await startHost(task, output);
    await untilCompleted(queue, (kill * jobs) / (kills + 2));
    await host.kill('SIGKILL');
    // What it had sent is still done, in the queue too: one moment, for which `olderThan` waits elsewhere.
    await until(
      async () => (await pool.query<{ n: number }>(connections, [own.name])).rows[0]?.n === 0,
    );
    const started = await queue.getJobs(['active', 'completed', 'failed']);
    const rows = new Set((await readAll(store, { queue: own.name })).map(({ jobId }) => jobId));
    behind += started.filter(({ id = '' }) => !rows.has(id)).length;
    behind += (await differences(store, queue)).length;
    await reconcile(queue, store, { olderThan: 0 });
    await agree(store, queue, jobs);
  }
  await using host = await startHost(task, output);
  expect(await untilDone(queue)).toBe(jobs);
  await agree(store, queue, jobs);
  const { repeats } = await host.order({});
  expect(repeats).toBe(0);
  expect(await host.kill('SIGTERM')).toBe(0);
  const wrong = (await differences(store, queue)).length;
  await output.addRows(store, own.name);
  return {
    load: `${jobs} jobs of 40 ms, 20 at once`,
    injected: `${kills} ×`,
    rowsWrong: `${wrong} (${behind} wrong or missing before \`reconcile\`)`,
  };
}

test('SIGKILL with work in flight: every row is right after `reconcile`', async () => {
  record({ fault: 'SIGKILL with work in flight', ...(await killed('BullMQ 6')) });
});

test('SIGKILL with work in flight, the queue on Postgres: every row is right after `reconcile`', async () => {
  const figures = await killed('BullMQ 6 on Postgres');
  record({ fault: 'SIGKILL with work in flight, the queue on Postgres', ...figures });
});

test('two trackers on one worker: both stores are right, and one that fails for good does not touch the other', async () => {
  await using stage = await openStage();
  const { queue, store, output } = stage;
  const jobs = isFull ? 4_000 : 400;
  const process = async (job: Job<HostJob>) => {
    await sleep(10);
    if (job.attemptsStarted <= (job.data.failures ?? 0)) throw new RangeError('not yet');
    return job.updateProgress(100);
  };
  const worker = stage.worker(process, { concurrency: 20 });
  const memory = new MemoryStatusStore();
  const sound = attachStatusTracking(worker, memory, { onError: output.onError });
  const cutOff = attachStatusTracking(worker, new PostgresStatusStore(stage.pool()), {
    onError: output.onError,
    logger: output.logger,
    flushTimeoutMs: 500,
  });
  const repeats = countRepeats(worker);
  await addJobs(queue, jobs, (n) => ({ failures: n % 5 === 0 ? 1 : 0 }));
  void worker.run();
  await untilDone(queue);
  for (const each of [memory, store]) await agree(each, queue, jobs);

  await stage.database.refuse();
  await addJobs(queue, jobs, (n) => ({ failures: n % 5 === 0 ? 1 : 0 }));
  await untilDone(queue);
  await agree(memory, queue, 2 * jobs);
  const { pending } = cutOff.stats();
  expect(pending).toBe(jobs);
  await worker.close();
  expect(output.counts()['ERR_FLUSH_INCOMPLETE']).toBe(1);
  expect(repeats()).toBe(0);
  const { retried, dropped, refused, lastError } = sound.stats();
  expect({ retried, dropped, refused, lastError }).toEqual({
    retried: 0,
    dropped: 0,
    refused: 0,
    lastError: null,
  });
  // It has the rows of before, and those are right.
  const wrong = [...(await differences(memory, queue)), ...(await differences(store, queue))];
  expect(wrong).toEqual([]);
  record({
    fault: "one of a worker's two stores fails for good",
    load: `${2 * jobs} jobs, 20 at once`,
    injected: 'connections refused, half-way',
    rowsWrong: String(wrong.length),
    updatesLost: `0 of the other store's; ${pending} of its own, told to \`onError\``,
  });
});

test('a worker’s process started twice: every row is right by itself', async () => {
  await using stage = await openStage();
  const { queue, store, output } = stage;
  const jobs = isFull ? 4_000 : 400;
  const task = hostOn(stage);
  await using first = await startHost(task, output);
  await using second = await startHost(task, output);
  await addJobs(queue, jobs, (n) => ({ ms: n % 20, failures: n % 5 === 0 ? n % 3 : 0 }));
  expect(await untilDone(queue)).toBe(jobs);
  await agree(store, queue, jobs);
  const reports = await Promise.all([first, second].map((host) => host.order({})));
  expect(reports.map(({ repeats }) => repeats)).toEqual([0, 0]);
  expect(await Promise.all([first, second].map((host) => host.kill('SIGTERM')))).toEqual([0, 0]);
  const workers = Map.groupBy(await readAll(store, { queue: stage.name }), (row) => row.worker);
  const shares = [...workers.values()].map(({ length }) => length);
  expect(shares).toHaveLength(2);
  record({
    fault: "a worker's process started twice",
    load: `${jobs} jobs, 40 at once`,
    injected: `both from the first job on: ${shares.join(' and ')} jobs`,
    rowsWrong: String((await differences(store, queue)).length),
    updatesLost: String(reports.reduce((n, { lost }) => n + lost, 0)),
  });
});

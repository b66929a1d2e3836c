import { Queue, Worker } from 'bullmq';
import { attachStatusTracking, type StatusStore } from 'bullmq-job-status';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile, round, type Figure, type Findings } from '../harness/figures.ts';
import { storesOf, type Bench } from '../harness/parts.ts';
import { timedStore } from '../harness/timed-store.ts';

/** Jobs that come at a steady pace: how soon their rows are true, and how many requests each costs. */
export async function measurePace(bench: Bench): Promise<Findings> {
  const seconds = bench.pick(30, 5);
  const rows: (string | number)[][] = [];
  const figures: Figure[] = [];
  for (const name of ['Postgres', 'Supabase']) {
    for (const [perSecond, jobMs] of [
      [100, 0],
      [100, 100],
      [10, 0],
      [10, 100],
    ] as const) {
      const before = await bench.parts.supabase.requests();
      const lags = await runAtPace(bench, storesOf(bench)[name]!, perSecond, jobMs, seconds);
      const requests = ((await bench.parts.supabase.requests()) - before) / lags.length;
      const [p50, p99] = [percentile(lags, 50), percentile(lags, 99)];
      rows.push([name, perSecond, jobMs, p50.toFixed(1), p99.toFixed(1), requests.toFixed(2)]);
      if (perSecond === 100 && jobMs === 100) {
        const what = `from a job's end to its row's truth, ${name}`;
        figures.push(
          { what: `${what}, p50`, value: round(p50), unit: 'ms', target: { most: 20 } },
          { what: `${what}, p99`, value: round(p99), unit: 'ms', target: { most: 60 } },
        );
      }
      if (perSecond === 10 && jobMs === 100 && name === 'Supabase')
        figures.push({
          what: 'requests a job, 10 jobs/s',
          value: round(requests),
          target: { most: 2 },
        });
    }
  }
  const head = ['store', 'jobs/s', 'job ms', 'row true after ms, p50', 'p99', 'requests a job'];
  const title = `At a steady pace for ${seconds} s: from the processor's return to the write's answer`;
  return { figures, grids: [{ title, head, rows }] };
}

/** @returns of each job, the ms from the return of its processor until its end was stored */
async function runAtPace(
  bench: Bench,
  store: StatusStore,
  perSecond: number,
  jobMs: number,
  seconds: number,
): Promise<number[]> {
  const { connection } = bench.parts.redis;
  const name = `pace-${randomUUID()}`;
  const queue = new Queue(name, { connection });
  const endedAt = new Map<string, number>();
  const lags: number[] = [];
  const timed = timedStore(store, (updates, at) => {
    for (const { status, jobId } of updates)
      if (status === 'completed') lags.push(at - (endedAt.get(jobId) ?? NaN));
  });
  const processor = async ({ id = '' }) => {
    if (jobMs > 0) await sleep(jobMs);
    endedAt.set(id, performance.now());
  };
  const worker = new Worker(name, processor, { connection, concurrency: 50 });
  attachStatusTracking(worker, timed);
  await worker.waitUntilReady();
  const jobs = perSecond * seconds;
  const start = performance.now();
  for (let job = 0; job < jobs; job++) {
    await sleep(Math.max(0, start + (job * 1_000) / perSecond - performance.now()));
    await queue.add('job', {}, { removeOnComplete: true });
  }
  while (lags.length < jobs) await sleep(5);
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();
  return lags;
}

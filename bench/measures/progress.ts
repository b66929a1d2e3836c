import { Queue, Worker, type Job } from 'bullmq';
import { attachStatusTracking } from 'bullmq-job-status';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile, round, type Findings } from '../harness/figures.ts';
import { storesOf, type Bench } from '../harness/parts.ts';
import { timedStore } from '../harness/timed-store.ts';

const REPORTING = 200;

/** Many jobs that report their progress, and short ones beside them, whose rows must not wait for it. */
export async function measureProgress(bench: Bench): Promise<Findings> {
  const rows: (string | number)[][] = [];
  const quiet = await run(bench, 0, true);
  const alone = await run(bench, 100, false);
  const beside = await run(bench, 100, true);
  const storm = await run(bench, 2_000, true);
  const row = (what: string, { writesPerSecond, p50, p99 }: Awaited<ReturnType<typeof run>>) =>
    rows.push([what, writesPerSecond.toFixed(1), p50.toFixed(1), p99.toFixed(1)]);
  row('none, 50 short jobs a second', quiet);
  row('100 calls a second, no other jobs', alone);
  row('100 calls a second, 50 short jobs a second', beside);
  row('2,000 calls a second, 50 short jobs a second', storm);
  return {
    figures: [
      {
        what: 'writes a second, 100 progress calls/s on 200 jobs',
        value: round(alone.writesPerSecond),
        target: { most: 20 },
      },
      {
        what: 'lag of other rows added by progress, p50',
        value: round(Math.max(0, beside.p50 - quiet.p50)),
        unit: 'ms',
        target: { most: 5 },
      },
    ],
    grids: [
      {
        title: `${REPORTING} jobs at once report their progress, Postgres store`,
        head: ['progress', 'writes/s', 'short job’s row true after ms, p50', 'p99'],
        rows,
      },
    ],
  };
}

async function run(bench: Bench, callsPerSecond: number, withOthers: boolean) {
  const { connection } = bench.parts.redis;
  const name = `progress-${randomUUID()}`;
  const queue = new Queue(name, { connection });
  const endedAt = new Map<string, number>();
  const lags: number[] = [];
  let writes = 0;
  const timed = timedStore(storesOf(bench)['Postgres']!, (updates, at) => {
    writes += 1;
    for (const { name: kind, status, jobId } of updates)
      if (kind === 'short' && status === 'completed') lags.push(at - (endedAt.get(jobId) ?? NaN));
  });
  const reporting: Job[] = [];
  let end = () => {};
  const isOver = new Promise<void>((resolve) => (end = resolve));
  const processor = async (job: Job) => {
    if (job.name === 'short') return void endedAt.set(job.id ?? '', performance.now());
    reporting.push(job);
    await isOver;
  };
  const worker = new Worker(name, processor, { connection, concurrency: REPORTING + 50 });
  attachStatusTracking(worker, timed);
  await queue.addBulk(Array.from({ length: REPORTING }, () => ({ name: 'long', data: {} })));
  while (reporting.length < REPORTING) await sleep(10);
  await sleep(500);

  writes = 0;
  const seconds = bench.pick(10, 3);
  const start = performance.now();
  const others = (async () => {
    for (let at = 0; withOthers && at < seconds * 50; at++) {
      await sleep(Math.max(0, start + at * 20 - performance.now()));
      await queue.add('short', {}, { removeOnComplete: true });
    }
  })();
  for (let call = 0; call < callsPerSecond * seconds; call++) {
    const due = start + (call * 1_000) / callsPerSecond - performance.now();
    if (due > 0) await sleep(due);
    void reporting[call % REPORTING]?.updateProgress(call);
  }
  await others;
  await sleep(Math.max(0, start + seconds * 1_000 - performance.now()));
  const writesPerSecond = writes / ((performance.now() - start) / 1_000);
  end();
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();
  return {
    writesPerSecond,
    p50: lags.length > 0 ? percentile(lags, 50) : NaN,
    p99: lags.length > 0 ? percentile(lags, 99) : NaN,
  };
}

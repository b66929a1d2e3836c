import { createClient } from '@supabase/supabase-js';
import { Queue, Worker } from 'bullmq';
import { attachStatusTracking, MemoryStatusStore, type StatusStore } from 'bullmq-job-status';
import { migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import Table from 'cli-table3';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { startParts } from '../tests/parts/index.ts';

/*
 * What tracking costs: the same jobs by the same worker, untracked and tracked into each store, in
 * turn within one run, on real Redis, Postgres and a Supabase-compatible API on this machine. Read
 * the ratios; the absolute figures are the machine's.
 */

const ROUNDS = 5;
const CONCURRENCY = 50;
const LOADS = [
  { jobs: 5_000, jobMs: 0 },
  { jobs: 5_000, jobMs: 5 },
  { jobs: 3_000, jobMs: 20 },
];

interface Run {
  readonly jobsPerSecond: number;
  readonly requestsPerJob: number;
  /** Of this process, which runs the worker, until every row was stored. */
  readonly cpuMicrosPerJob: number;
  /** From the end of the last job until every row was stored. */
  readonly trueAfterMs: number;
}

await using parts = await startParts({ sql: migrationSql() });
const supabase = createClient(parts.supabase.url, parts.supabase.secretKey);
const pool = new Pool({ connectionString: parts.postgres.connectionString });
const stores: Record<string, StatusStore | undefined> = {
  untracked: undefined,
  memory: new MemoryStatusStore(),
  postgres: new PostgresStatusStore(pool),
  supabase: new SupabaseStatusStore(supabase),
};

async function run(
  store: StatusStore | undefined,
  { jobs, jobMs }: (typeof LOADS)[number],
): Promise<Run> {
  const name = `bench-${randomUUID()}`;
  const { connection } = parts.redis;
  const queue = new Queue(name, { connection });
  const options = { removeOnComplete: true };
  await queue.addBulk(
    Array.from({ length: jobs }, () => ({ name: 'job', data: {}, opts: options })),
  );

  const processJob = jobMs === 0 ? async () => {} : () => sleep(jobMs);
  const worker = new Worker(name, processJob, {
    connection,
    concurrency: CONCURRENCY,
    autorun: false,
  });
  const tracker =
    store && attachStatusTracking(worker, store, { onError: (error) => console.error(error) });
  await worker.waitUntilReady();

  const requestsBefore = await parts.supabase.requests();
  const allEnded = new Promise<void>((resolve) => {
    let left = jobs;
    worker.on('completed', () => --left === 0 && resolve());
  });
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  void worker.run();
  await allEnded;
  const end = performance.now();
  // Not by a flush, which would hurry them: rows come true by themselves.
  while (tracker !== undefined && tracker.stats().pending > 0) await sleep(1);
  const trueAfterMs = performance.now() - end;
  const { user, system } = process.cpuUsage(cpuBefore);

  const requestsPerJob = ((await parts.supabase.requests()) - requestsBefore) / jobs;
  if (store !== undefined) {
    const completed = await store.count?.({ queue: name, status: 'completed' });
    if (completed !== jobs) throw new Error(`${completed} of ${jobs} rows are completed`);
  }
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();
  return {
    jobsPerSecond: (jobs / (end - start)) * 1_000,
    requestsPerJob,
    cpuMicrosPerJob: (user + system) / jobs,
    trueAfterMs,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

const table = new Table({
  head: ['jobs', 'store', 'jobs/s', 'kept', 'requests/job', 'CPU/job', 'rows true after'],
  style: { head: [] },
});
for (const load of LOADS) {
  // Warms connections, plans and the JIT, so that the first in turn is at no disadvantage.
  for (const store of Object.values(stores)) await run(store, { ...load, jobs: 500 });
  const runs = new Map<string, Run[]>(Object.keys(stores).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, store] of Object.entries(stores))
      runs.get(name)?.push(await run(store, load));
  }
  const baseline = runs.get('untracked') ?? [];
  for (const [name, ofStore] of runs) {
    const kept = ofStore.map(
      (each, round) => each.jobsPerSecond / (baseline[round]?.jobsPerSecond ?? NaN),
    );
    table.push([
      `${load.jobs} of ${load.jobMs} ms`,
      name,
      Math.round(median(ofStore.map((each) => each.jobsPerSecond))),
      median(kept).toFixed(3),
      median(ofStore.map((each) => each.requestsPerJob)).toFixed(4),
      `${median(ofStore.map((each) => each.cpuMicrosPerJob)).toFixed(0)} us`,
      name === 'untracked'
        ? ''
        : `${Math.round(median(ofStore.map((each) => each.trueAfterMs)))} ms`,
    ]);
  }
}
console.log(
  `Concurrency ${CONCURRENCY}, medians of ${ROUNDS} rounds in turn, everything on one machine`,
);
console.log(table.toString());
await pool.end();

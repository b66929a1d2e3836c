// What it costs to track a queue and to reconcile one, in looks at the queue and in time:
//   node bench/queue.ts [rows to reconcile, 100,000 by default]

import { createClient } from '@supabase/supabase-js';
import { Queue, Worker } from 'bullmq';
import {
  attachQueueTracking,
  MemoryStatusStore,
  reconcile,
  type StatusStore,
} from 'bullmq-job-status';
import { migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import Table from 'cli-table3';
import { Pool } from 'pg';
import { startParts } from '../tests/parts/index.ts';

const rows = Number(process.argv[2] ?? 100_000);
const JOBS = 10_000;

await using parts = await startParts({ sql: migrationSql() });
const { connection } = parts.redis;
const pool = new Pool({ connectionString: parts.postgres.connectionString });
const supabase = createClient(parts.supabase.url, parts.supabase.secretKey);
const STORES: Readonly<Record<string, () => StatusStore>> = {
  memory: () => new MemoryStatusStore(),
  Postgres: () => new PostgresStatusStore(pool),
  Supabase: () => new SupabaseStatusStore(supabase),
};

/** Adds jobs by the thousand. */
async function add(queue: Queue, count: number): Promise<void> {
  for (let at = 0; at < count; at += 1_000) {
    const size = Math.min(1_000, count - at);
    await queue.addBulk(Array.from({ length: size }, () => ({ name: 'job', data: {} })));
  }
}

/** How often this package asks the queue something. */
async function countReads(queue: Queue): Promise<() => number> {
  const client = (await queue.getBackend().client) as unknown as {
    runCommand(name: string, args: unknown[]): Promise<unknown>;
  };
  const run = client.runCommand.bind(client);
  let reads = 0;
  client.runCommand = (name, args) => {
    if (name.startsWith('jobStatus.')) reads += 1;
    return run(name, args);
  };
  return () => reads;
}

/** The queue alone is tracked; its worker runs no-op jobs as fast as it can. */
async function track(store: StatusStore, name: string) {
  const queue = new Queue(name, { connection });
  const reads = await countReads(queue);
  const tracker = attachQueueTracking(queue, store);
  await add(queue, JOBS);
  const start = performance.now();
  const worker = new Worker(name, async () => {}, { connection, concurrency: 50 });
  await new Promise<void>((resolve) => void worker.on('drained', resolve));
  while ((await queue.getCompletedCount()) < JOBS) await new Promise(setImmediate);
  const runMs = performance.now() - start;
  await tracker.flush();
  const trueAfterMs = performance.now() - start - runMs;
  await worker.close();
  await queue.close();
  return {
    jobsPerSecond: JOBS / (runMs / 1_000),
    eventsPerRead: (4 * JOBS) / reads(),
    trueAfterMs,
  };
}

async function timed<T>(run: () => Promise<T>): Promise<[T, string]> {
  const start = performance.now();
  const result = await run();
  return [result, `${((performance.now() - start) / 1_000).toFixed(1)} s`];
}

const tracked = new Table({
  head: ['store', 'jobs/s', 'events a read', 'true after the last job'],
});
const reconciled = new Table({
  head: ['store', 'run', 'checked', 'changed', 'reads', 'time'],
});

for (const [name, createStore] of Object.entries(STORES)) {
  const { jobsPerSecond, eventsPerRead, trueAfterMs } = await track(createStore(), `track-${name}`);
  const cells = [jobsPerSecond, eventsPerRead].map((value) => value.toFixed(0));
  tracked.push([name, ...cells, `${trueAfterMs.toFixed(0)} ms`]);

  const queue = new Queue(`reconcile-${name}`, { connection });
  const store = createStore();
  await add(queue, rows);
  const run = async (what: string) => {
    const [report, time] = await timed(() => reconcile(queue, store, { olderThan: 0 }));
    const changed = report.added + report.repaired + report.removed;
    reconciled.push([name, what, report.checked, changed, report.reads, time]);
  };
  await run('no rows yet');
  await run('all in order');
  await queue.drain();
  await run('all jobs gone');
  await queue.obliterate({ force: true });
  await queue.close();
}

console.log(`A queue of ${JOBS} no-op jobs, tracked from its own side alone`);
console.log(tracked.toString());
console.log(`reconcile, ${rows} rows`);
console.log(reconciled.toString());
await pool.end();
process.exit(0);

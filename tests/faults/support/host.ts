// A worker in a process of its own, tracked as the README has it, whose clock can be set and whose event loop can
// be blocked: node host.ts <task, JSON>. It is told what to do, and answers, over IPC; SIGTERM ends it.

import { shiftClock } from './shifted-date.ts';
import { Worker, type Job } from 'bullmq';
import { attachStatusTracking } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Pool } from 'pg';
import { postgresBackend } from '../../parts/postgres-backend.ts';
import type { RedisConnection } from '../../parts/redis.ts';
import { countRepeats } from './repeats.ts';

export interface HostTask {
  readonly queue: string;
  /** Where the queue is: on BullMQ's Postgres backend without. */
  readonly redis?: RedisConnection;
  readonly databaseUrl: string;
  readonly lockDuration?: number;
}

/** What a job is to do. */
export interface HostJob {
  /** How long each attempt takes, in ms. */
  readonly ms?: number;
  /** Attempts that wait for `open` before they end. */
  readonly held?: readonly number[];
  /** How many of its attempts fail. */
  readonly failures?: number;
}

export interface HostOrder {
  /** So far off the true time is the clock from now on. */
  readonly shiftMs?: number;
  /** For so long nothing else happens in the process. */
  readonly blockMs?: number;
  /** Lets the jobs go on that are held. */
  readonly open?: true;
}

export interface HostReport {
  /** What the listeners were told more than once. */
  readonly repeats: number;
  readonly lost: number;
  readonly heapMb: number;
}

const task = JSON.parse(process.argv[2] ?? '{}') as HostTask;
const pool = new Pool({ connectionString: task.databaseUrl });
const gates = new Set<() => void>();

const backend =
  task.redis === undefined
    ? // Typed as on Redis: only what both have is used.
      (postgresBackend(task.databaseUrl) as unknown as {
        Worker: typeof Worker;
        connection: object;
      })
    : { Worker, connection: task.redis };
const worker = new backend.Worker(
  task.queue,
  async (job: Job<HostJob>) => {
    const { ms = 0, held = [], failures = 0 } = job.data;
    if (held.includes(job.attemptsStarted))
      await new Promise<void>((resolve) => gates.add(resolve));
    await sleep(ms);
    if (job.attemptsStarted <= failures) throw new RangeError('not yet');
    return { attempt: job.attemptsStarted };
  },
  {
    connection: backend.connection,
    concurrency: 20,
    stalledInterval: 300,
    maxStalledCount: 50,
    ...(task.lockDuration !== undefined && { lockDuration: task.lockDuration }),
    autorun: false,
  },
);
worker.on('error', (error) => console.log(inspect(error, { depth: 10 })));
const repeats = countRepeats(worker);
const tracker = attachStatusTracking(worker, new PostgresStatusStore(pool), {
  onError: (error) => console.log(inspect(error, { depth: 10 })),
});

process.once('SIGTERM', () => void worker.close().then(() => pool.end()));

process.on('message', ({ shiftMs, blockMs = 0, open }: HostOrder) => {
  if (shiftMs !== undefined) shiftClock(shiftMs);
  const end = performance.now() + blockMs;
  while (performance.now() < end);
  if (open) {
    for (const gate of gates) gate();
    gates.clear();
  }
  const { dropped, refused } = tracker.stats();
  const heapMb = Math.round(process.memoryUsage().heapUsed / 1e5) / 10;
  process.send?.({ repeats: repeats(), lost: dropped + refused, heapMb } satisfies HostReport);
});
await worker.waitUntilReady();
void worker.run();
process.send?.('ready');

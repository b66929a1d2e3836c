// A worker under load in a process of its own, tracked or not, which measures itself:
// node --expose-gc tracked-worker.ts <task, JSON>. It is told what to do, and answers, over IPC.

import { Worker } from 'bullmq';
import { attachStatusTracking, type TrackingOptions } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Pool } from 'pg';
import type { RedisConnection } from '../../parts/index.ts';

export interface Task {
  readonly queue: string;
  readonly redis: RedisConnection;
  /** Of the database that it is tracked into; untracked without. */
  readonly databaseUrl?: string;
  readonly options?: Pick<TrackingOptions, 'maxPending'>;
  /** How long a job takes, in ms. */
  readonly jobMs: number;
  /** How many jobs there will be at most: their data are numbered below it. */
  readonly jobs: number;
}

/** How the time since the last reading went. */
export interface Reading {
  readonly jobs: number;
  /** From a job's addition to its end, in ms. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** After a collection, in MB. */
  readonly heap: number;
  readonly pending: number;
  readonly dropped: number;
  readonly lagMs: number;
  /** Errors told since the start, by code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Since the start: jobs of which `completed` came more than once. */
  readonly repeated: number;
  readonly unhandled: number;
  /** Updates told as given up, and how many of them were of jobs that had ended. */
  readonly told: { readonly updates: number; readonly ends: number };
}

const task = JSON.parse(process.argv[2] ?? '{}') as Task;
const worker = new Worker(task.queue, () => sleep(task.jobMs), {
  connection: task.redis,
  concurrency: 50,
  autorun: false,
});
worker.on('error', (error) => console.log(inspect(error, { depth: 10 })));

const seen = new Uint8Array(task.jobs);
let repeated = 0;
let unhandled = 0;
const errors: Record<string, number> = {};
const told = { updates: 0, ends: 0 };
const took = createHistogram();
worker.on('completed', ({ data, timestamp, finishedOn = 0 }) => {
  took.record(Math.max(1, finishedOn - timestamp));
  const { n } = data as { n: number };
  if (++seen[n]! > 1) repeated += 1;
});
for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (error) => {
    unhandled += 1;
    console.log(event, inspect(error, { depth: 10 }));
  });
}

const { databaseUrl } = task;
const tracker =
  databaseUrl === undefined
    ? undefined
    : attachStatusTracking(
        worker,
        new PostgresStatusStore(new Pool({ connectionString: databaseUrl })),
        {
          ...task.options,
          onError(error, updates) {
            if (error.code === 'ERR_UPDATES_DROPPED') {
              told.updates += updates.length;
              told.ends += updates.filter(({ status }) => status === 'completed').length;
            }
            errors[error.code] = (errors[error.code] ?? 0) + 1;
            console.log(inspect(error, { depth: 10 }));
          },
        },
      );

function read(): Reading {
  globalThis.gc?.();
  const reading = {
    jobs: took.count,
    p50: took.percentile(50),
    p99: took.percentile(99),
    max: took.max,
    heap: Math.round(process.memoryUsage().heapUsed / 1e5) / 10,
    pending: tracker?.stats().pending ?? 0,
    dropped: tracker?.stats().dropped ?? 0,
    lagMs: tracker?.stats().lagMs ?? 0,
    errors,
    repeated,
    unhandled,
    told,
  };
  took.reset();
  return reading;
}

process.on('message', (message) => {
  if (message === 'read') process.send?.(read());
  else void worker.close().finally(() => process.send?.('closed', () => process.exit(0)));
});
await worker.waitUntilReady();
void worker.run();
process.send?.('ready');

import { createClient } from '@supabase/supabase-js';
import { Queue, Worker } from 'bullmq';
import {
  attachQueueTracking,
  attachStatusTracking,
  reconcile,
  type StatusStore,
  type StatusTracker,
  type TrackerStats,
} from 'bullmq-job-status';
import { migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { randomUUID } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { startParts } from '../../parts/index.ts';
import { openPool } from '../../support/pool.ts';
import { startHttpProxy } from './http-proxy.ts';
import { processJob, type Target } from './soak-load.ts';
import { startTcpProxy } from './tcp-proxy.ts';

const COUNTS = ['written', 'coalesced', 'retried', 'refused', 'dropped'] as const;

/** What all trackers did, those that are closed among them; `pending` is of those that are not. */
export type Totals = Record<(typeof COUNTS)[number] | 'pending', number>;

/** How long a request may take, in ms. */
const PATIENCE_MS = 6_000;

/** Real parts, the broken ways to them, and two workers tracked there. */
export async function openScene() {
  await using opened = new AsyncDisposableStack();
  const parts = opened.use(await startParts({ sql: migrationSql() }));
  const { connection } = parts.redis;
  const { connectionString } = parts.postgres;
  const { url, secretKey } = parts.supabase;
  const database = opened.use(await startTcpProxy(Number(new URL(connectionString).port)));
  const api = opened.use(await startHttpProxy(url));
  const through = new URL(connectionString);
  through.port = String(database.port);
  // Connections end soon after their last use, so that none of them is left in a quiet moment.
  const pool = openPool(through.href, { idleTimeoutMillis: 500 });
  const straight = openPool(connectionString, { idleTimeoutMillis: 500 });
  for (const each of [pool, straight]) opened.defer(() => each.end());
  const auth = { persistSession: false, autoRefreshToken: false };
  // What is asked for outside of tracking, such as a cancellation, may wait for longer than a round lasts.
  const impatient: typeof fetch = (input, init) => {
    const signals = [AbortSignal.timeout(PATIENCE_MS), init?.signal];
    return fetch(input, { ...init, signal: AbortSignal.any(signals.filter((each) => !!each)) });
  };
  const supabase = createClient(api.url, secretKey, { auth, global: { fetch: impatient } });

  const errors: Record<string, number> = {};
  let reconciled = 0;
  /** What trackers that are closed did, as numbers alone: their last errors would stay in memory. */
  const before = Object.fromEntries(COUNTS.map((name) => [name, 0])) as Omit<Totals, 'pending'>;
  const made: WeakRef<object>[] = [];
  const options = {
    // Both within the time that a fault lasts, so that it comes to them.
    writeTimeoutMs: 3_000,
    backoff: { minMs: 100, maxMs: 2_000 },
    // And this beyond it: then nothing may be lost at a close.
    flushTimeoutMs: 20_000,
    onError: ({ code }: { code: string }) => count(code),
  };

  function count(code: string): void {
    errors[code] = (errors[code] ?? 0) + 1;
  }

  function addUp(stats: TrackerStats): void {
    for (const name of COUNTS) before[name] += stats[name];
  }

  /** What a tracker, or a timer of it, would hold on to once it is closed. */
  function watched<T extends object>(object: T): T {
    made.push(new WeakRef(object));
    return object;
  }

  const counted = (error: unknown) => count(String((error as { code?: unknown }).code));

  /** A queue, with its worker and its worker's tracker, each of which can be made anew. */
  function openLane(name: string, createStore: () => StatusStore) {
    const queue = new Queue(`soak-${name}-${randomUUID()}`, { connection });
    const newWorker = () =>
      watched(new Worker(queue.name, processJob, { connection, concurrency: 50, autorun: false }));
    let worker = newWorker();
    /** When the last two reconciliations began that went well. */
    let [healedBefore, healedLast] = [0, 0];
    let store = createStore();
    let tracker = attachStatusTracking(worker, store, options);

    return {
      queue,
      store: () => store,
      emitters: (): EventEmitter[] => [queue, worker],
      trackers: () => [tracker],
      healedBefore: () => healedBefore,
      /** As a program does it every few minutes; where a fault keeps it from it, the next time does. */
      async reconcile(olderThan: number) {
        const start = Date.now();
        try {
          await reconcile(queue, store, { olderThan, onError: options.onError });
        } catch (error) {
          counted(error);
          return;
        }
        reconciled += 1;
        [healedBefore, healedLast] = [healedLast, start];
      },
      start: () => void worker.run(),
      /** Tracks the worker into a store anew, which begins before the old one ends: no event is missed. */
      async reattach() {
        const old = tracker;
        store = createStore();
        tracker = attachStatusTracking(worker, store, options);
        await end(old);
      },
      async renewWorker() {
        await worker.close();
        addUp(tracker.stats());
        worker = newWorker();
        tracker = attachStatusTracking(worker, store, options);
        void worker.run();
      },
      async close() {
        await worker.close();
        await queue.obliterate({ force: true });
        await queue.close();
      },
    };
  }

  async function end(tracker: StatusTracker): Promise<void> {
    await tracker.close().catch(counted);
    addUp(tracker.stats());
  }

  const newPostgresStore = () => watched(new PostgresStatusStore(pool));
  const lanes = [
    openLane('postgres', newPostgresStore),
    openLane('supabase', () => watched(new SupabaseStatusStore(supabase))),
  ] as const;
  const [tracked, untracked] = lanes;
  let queueTracker = attachQueueTracking(tracked.queue, newPostgresStore(), options);
  opened.defer(async () => {
    await Promise.all(lanes.map((lane) => lane.close()));
  });

  const targets: Target[] = [
    { ...tracked, rows: new PostgresStatusStore(straight), isQueueTracked: true, added: 0 },
    {
      ...untracked,
      rows: new SupabaseStatusStore(createClient(url, secretKey, { auth })),
      isQueueTracked: false,
      added: 0,
    },
  ];

  const all = () => [...lanes.flatMap((lane) => lane.trackers()), queueTracker];
  const life = opened.move();
  return {
    database,
    api,
    errors,
    reconciled: () => reconciled,
    targets,
    /** How many of the stores and workers ever made are in memory still. */
    alive: () => made.filter((each) => each.deref() !== undefined).length,
    emitters: (): EventEmitter[] => [pool, ...lanes.flatMap((lane) => lane.emitters())],
    start: () => lanes.forEach((lane) => lane.start()),
    /** What ends and begins anew now and then. One worker stays, as the queues do: what leaks on it stays too. */
    renewals: [
      tracked.reattach,
      untracked.renewWorker,
      async () => {
        await end(queueTracker);
        queueTracker = attachQueueTracking(tracked.queue, newPostgresStore(), options);
      },
      untracked.reattach,
    ],
    async reconcile(olderThan: number) {
      await Promise.all(lanes.map((lane) => lane.reconcile(olderThan)));
    },
    async flush() {
      await Promise.all(all().map((tracker) => tracker.flush().catch(counted)));
    },
    totals(): Totals {
      const now = all().map((tracker) => tracker.stats());
      const sum = (of: keyof Totals) => now.reduce((total, each) => total + each[of], 0);
      const counts = COUNTS.map((name) => [name, before[name] + sum(name)] as const);
      return { ...Object.fromEntries(counts), pending: sum('pending') } as Totals;
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

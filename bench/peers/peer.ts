import type { Worker } from 'bullmq';
import { attachStatusTracking, type StatusStore } from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';

/** A way to keep rows of a worker's jobs. */
export interface Peer {
  readonly name: string;
  /** Begins with a worker that has not run yet. */
  attach(worker: Worker): Promise<Keeping> | Keeping;
}

/** The rows of one worker's jobs being kept. */
export interface Keeping {
  /** Resolves when all that was begun has ended, well or not. */
  settled(): Promise<void>;
  /** How many of so many completed jobs have a row that says so, with a start. */
  right(queue: string): Promise<number>;
  close?(): Promise<void>;
}

/** What the worker does without any of it: what all others are held against. */
export const untracked: Peer = {
  name: 'untracked',
  attach: () => ({ settled: async () => {}, right: async () => NaN }),
};

/** This package, into a store. */
export function tracked(name: string, store: StatusStore, right?: Keeping['right']): Peer {
  return {
    name,
    attach(worker) {
      const tracker = attachStatusTracking(worker, store, {
        onError: (error) => console.error(error),
      });
      return {
        // Not by a flush, which would hurry them: rows come true by themselves.
        async settled() {
          while (tracker.stats().pending > 0) await sleep(1);
        },
        right:
          right ?? (async (queue) => (await store.count?.({ queue, status: 'completed' })) ?? 0),
      };
    },
  };
}

/** A row of the table of the peers written by hand. */
export interface PeerRow {
  queue: string;
  job_id: string;
  status: string;
  created_at?: Date;
  started_at?: Date;
  completed_at?: Date;
  failed_at?: Date;
}

/** Listeners' promises, which no worker awaits; a rejection is what a log would swallow. */
export function inFlight() {
  const promises = new Set<Promise<void>>();
  return {
    add(work: Promise<unknown>): void {
      const settled: Promise<void> = Promise.allSettled([work]).then(() => {
        promises.delete(settled);
        return undefined;
      });
      promises.add(settled);
    },
    async settled(): Promise<void> {
      while (promises.size > 0) await Promise.all(promises);
    },
  };
}

/** Counts the rows of jobs that are known to have completed, of the table of the peers written by hand. */
export function rightIn(pool: Pool): Keeping['right'] {
  return async (queue) => {
    const { rows } = await pool.query<{ count: string }>(
      `select count(*) from peer_status where queue = $1 and status = 'completed'
        and started_at is not null and completed_at is not null`,
      [queue],
    );
    return Number(rows[0]?.count);
  };
}

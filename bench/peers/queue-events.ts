import { QueueEvents } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { RedisConnection } from '../../tests/parts/index.ts';
import { inFlight, rightIn, type Peer, type PeerRow } from './peer.ts';

/** An upsert for each of the queue's own events, which tell a job's id and hardly more. */
export function queueEvents(
  connection: RedisConnection,
  pool: Pool,
  upsert: (row: PeerRow) => Promise<unknown>,
): Peer {
  return {
    name: 'QueueEvents and upsert (Supabase)',
    async attach(worker) {
      const writes = inFlight();
      const events = new QueueEvents(worker.name, { connection });
      await events.waitUntilReady();
      // Events added right after it is ready may be missed.
      await sleep(500);
      let lastAt = performance.now();
      const write = (job_id: string, row: Omit<PeerRow, 'queue' | 'job_id'>) => {
        lastAt = performance.now();
        writes.add(upsert({ queue: worker.name, job_id, ...row }));
      };
      events.on('active', ({ jobId }) =>
        write(jobId, { status: 'active', started_at: new Date() }),
      );
      events.on('completed', ({ jobId }) =>
        write(jobId, { status: 'completed', completed_at: new Date() }),
      );
      events.on('failed', ({ jobId }) => write(jobId, { status: 'failed', failed_at: new Date() }));
      return {
        async settled() {
          do await writes.settled();
          while (performance.now() - lastAt < 1_000 && (await sleep(100, true)));
        },
        right: rightIn(pool),
        close: () => events.close(),
      };
    },
  };
}

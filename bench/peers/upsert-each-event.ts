import type { SupabaseClient } from '@supabase/supabase-js';
import type { Job } from 'bullmq';
import type { Pool } from 'pg';
import { inFlight, rightIn, type Peer, type PeerRow } from './peer.ts';

/** What most teams write first: one upsert for each event, all times from the job itself. */
export function upsertEachEvent(
  name: string,
  pool: Pool,
  upsert: (row: PeerRow) => Promise<unknown>,
): Peer {
  return {
    name,
    attach(worker) {
      const writes = inFlight();
      const rowOf = (job: Job, status: string) => ({
        queue: worker.name,
        job_id: String(job.id),
        status,
        created_at: new Date(job.timestamp),
        started_at: new Date(job.processedOn ?? job.timestamp),
      });
      const ended = (job: Job) => new Date(job.finishedOn ?? Date.now());
      worker.on('active', (job) => writes.add(upsert(rowOf(job, 'active'))));
      worker.on('completed', (job) =>
        writes.add(upsert({ ...rowOf(job, 'completed'), completed_at: ended(job) })),
      );
      worker.on('failed', (job) => {
        if (job?.finishedOn === undefined) return;
        writes.add(upsert({ ...rowOf(job, 'failed'), failed_at: ended(job) }));
      });
      return { settled: writes.settled, right: rightIn(pool) };
    },
  };
}

/** One request for each row. */
export function upsertBySupabase(supabase: SupabaseClient) {
  return async (row: PeerRow): Promise<void> => {
    const { error } = await supabase
      .from('peer_status')
      .upsert(row, { onConflict: 'queue,job_id' })
      .throwOnError();
    if (error !== null) throw error;
  };
}

/** One statement for each row, prepared once for each connection. */
export function upsertByPool(pool: Pool) {
  return (row: PeerRow): Promise<unknown> =>
    pool.query({
      name: 'peer-upsert',
      text: `insert into peer_status (queue, job_id, status, created_at, started_at, completed_at, failed_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (queue, job_id) do update set status = excluded.status, created_at = excluded.created_at,
          started_at = excluded.started_at, completed_at = excluded.completed_at,
          failed_at = excluded.failed_at, updated_at = now()`,
      values: [
        row.queue,
        row.job_id,
        row.status,
        row.created_at,
        row.started_at,
        row.completed_at,
        row.failed_at,
      ],
    });
}

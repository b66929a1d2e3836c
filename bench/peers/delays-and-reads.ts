import type { SupabaseClient } from '@supabase/supabase-js';
import type { Job } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { inFlight, rightIn, type Peer, type PeerRow } from './peer.ts';

/**
 * The algorithm of the document that this project began with: each event's handler waits, reads the row, and
 * writes what it then holds for true; a start that comes after the end changes nothing, and an end without a
 * start sets that first.
 */
export function delaysAndReads(supabase: SupabaseClient, pool: Pool): Peer {
  const table = () => supabase.from('peer_status');
  const read = async (queue: string, id: string) =>
    (await table().select('*').eq('queue', queue).eq('job_id', id).maybeSingle())
      .data as PeerRow | null;
  const update = (queue: string, id: string, row: object) =>
    table().update(row).eq('queue', queue).eq('job_id', id).throwOnError();
  const insert = (row: PeerRow) =>
    table().upsert(row, { onConflict: 'queue,job_id', ignoreDuplicates: true }).throwOnError();

  return {
    name: 'delays and reads (Supabase)',
    attach(worker) {
      const writes = inFlight();
      const queue = worker.name;
      const firstRow = (job: Job): PeerRow => ({
        queue,
        job_id: String(job.id),
        status: 'waiting',
        created_at: new Date(job.timestamp),
      });

      async function active(job: Job): Promise<void> {
        const id = String(job.id);
        await insert(firstRow(job));
        await sleep(500);
        const row = await read(queue, id);
        if (row?.completed_at || row?.failed_at || row?.started_at) return;
        await update(queue, id, { status: 'active', started_at: new Date() });
        await read(queue, id);
      }

      async function ended(job: Job, status: string, column: string): Promise<void> {
        const id = String(job.id);
        await sleep(300);
        const row = await read(queue, id);
        if (row === null) await insert(firstRow(job));
        if (!row?.started_at) await update(queue, id, { started_at: new Date(job.timestamp + 1) });
        await update(queue, id, { status, [column]: new Date() });
        const written = await read(queue, id);
        if (written?.status !== status) await update(queue, id, { status, [column]: new Date() });
      }

      worker.on('active', (job) => writes.add(active(job)));
      worker.on('completed', (job) => writes.add(ended(job, 'completed', 'completed_at')));
      worker.on('failed', (job) => {
        if (job?.finishedOn !== undefined) writes.add(ended(job, 'failed', 'failed_at'));
      });
      return { settled: writes.settled, right: rightIn(pool) };
    },
  };
}

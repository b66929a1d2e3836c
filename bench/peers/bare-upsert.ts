import { mergeStatus, type StatusStore, type StatusUpdate } from 'bullmq-job-status';
import type { Pool } from 'pg';
import { toRecord } from '../../src/stores/row.ts';

/**
 * The limit: the same rows into the same table by one bulk upsert, with no law at all. The last one to write wins,
 * whatever it says, so it is right only where nothing ever races.
 */
export async function bareUpsertStore(pool: Pool): Promise<StatusStore> {
  const { rows } = await pool.query<{ name: string; type: string }>(
    `select column_name as name, data_type as type from information_schema.columns
      where table_schema = 'bare' and table_name = 'job_status' and is_generated = 'NEVER' order by ordinal_position`,
  );
  const names = rows.map(({ name }) => name);
  const typed = rows.map(({ name, type }) => `${name} ${type}`);
  const sql = `insert into bare.job_status (${names.join(', ')})
    select ${names.join(', ')} from jsonb_to_recordset($1::jsonb) as u(${typed.join(', ')})
    on conflict (queue, job_id) do update set ${names.map((name) => `${name} = excluded.${name}`).join(', ')}`;
  return {
    write: async (updates) => void (await pool.query(sql, [JSON.stringify(updates.map(toRow))])),
    get: () => Promise.reject(new Error('The limit reads nothing')),
  };
}

/** As cheap to write as the package's own records, and the times that its function would compute. */
function toRow(update: StatusUpdate): object {
  const row = mergeStatus(undefined, update);
  return {
    ...toRecord(update),
    started_at: row.startedAt?.toISOString(),
    started_at_inferred: row.startedAtInferred,
    attempt_started_at: row.attemptStartedAt?.toISOString(),
    completed_at: row.completedAt?.toISOString(),
    failed_at: row.failedAt?.toISOString(),
    cancelled_at: row.cancelledAt?.toISOString(),
  };
}

/** How many completed jobs have a row. */
export async function countBare(pool: Pool, queue: string): Promise<number> {
  const { rows } = await pool.query<{ count: string }>(
    "select count(*) from bare.job_status where queue = $1 and status = 'completed'",
    [queue],
  );
  return Number(rows[0]?.count);
}

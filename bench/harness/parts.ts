import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { MemoryStatusStore, type StatusStore } from 'bullmq-job-status';
import { migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { Pool } from 'pg';
import { startParts, type Parts } from '../../tests/parts/index.ts';
import { BARE_TABLE, PEER_TABLE } from '../peers/tables.ts';

/** What every measure runs on. */
export interface Bench extends AsyncDisposable {
  readonly parts: Parts;
  readonly pool: Pool;
  readonly supabase: SupabaseClient;
  /** Whether to be done within a minute, for ratios that say no more than whether something broke. */
  readonly isShort: boolean;
  /** A number for a full run, and one for a short one. */
  readonly pick: <T>(full: T, short: T) => T;
}

export async function startBench(isShort: boolean): Promise<Bench> {
  const parts = await startParts({
    sql: `${migrationSql()}\n${BARE_TABLE}\n${PEER_TABLE}`,
    // What a database of this size is given to be quick in.
    postgres: { settings: { shared_buffers: '512MB', max_wal_size: '8GB' } },
  });
  const pool = new Pool({ connectionString: parts.postgres.connectionString });
  return {
    parts,
    pool,
    supabase: createClient(parts.supabase.url, parts.supabase.secretKey),
    isShort,
    pick: (full, short) => (isShort ? short : full),
    async [Symbol.asyncDispose]() {
      await pool.end();
      await parts.stop();
    },
  };
}

/** The stores that ship, each new. */
export function storesOf({ pool, supabase }: Bench): Readonly<Record<string, StatusStore>> {
  return {
    memory: new MemoryStatusStore(),
    Postgres: new PostgresStatusStore(pool),
    Supabase: new SupabaseStatusStore(supabase),
  };
}

import { createClient } from '@supabase/supabase-js';
import { MemoryStatusStore } from 'bullmq-job-status/memory';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { Pool } from 'pg';
import { inject } from 'vitest';
import WebSocket from 'ws';
import type { StatusStore } from '../../src/store.ts';

/** A store of which the optional methods are there. */
export type WholeStore = Required<Omit<StatusStore, 'close'>>;

/** A client of the tests' Supabase-compatible API. @param key the secret one unless given */
export function supabaseClient(key?: string) {
  const { supabaseUrl, secretKey } = inject('parts');
  // Older Nodes have no WebSocket of their own, and supabase-js insists on one.
  return createClient(supabaseUrl, key ?? secretKey, {
    realtime: { transport: WebSocket as never },
    auth: { persistSession: false },
  });
}

/** Every store that ships, by the name tests show. */
export const STORES: Readonly<Record<string, () => WholeStore>> = {
  memory: () => new MemoryStatusStore(),
  Supabase: () => new SupabaseStatusStore(supabaseClient()),
  Postgres: () => new PostgresStatusStore(pool()),
};

let shared: Pool | undefined;

/** A pool on the tests' Postgres, one for each test file; it holds no process open. */
function pool(): Pool {
  shared ??= new Pool({
    connectionString: inject('parts').connectionString,
    allowExitOnIdle: true,
  });
  return shared;
}

import { PGlite } from '@electric-sql/pglite';
import { createClient } from '@supabase/supabase-js';
import { MemoryStatusStore } from 'bullmq-job-status/memory';
import { migrate } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { Pool } from 'pg';
import { inject } from 'vitest';
import WebSocket from 'ws';
import type { StatusStore } from '../../src/store.ts';
import { pgliteClient, type SqlClient } from './databases.ts';
import { TABLES } from './tables.ts';

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

/** Makes a store on one of the tests' tables; the memory store has none. */
export type CreateStore = (options?: { table: (typeof TABLES)[number] }) => WholeStore;

/** Every store that ships, on every Postgres that is promised, by the name tests show. */
export const STORES: Readonly<Record<string, CreateStore>> = {
  memory: () => new MemoryStatusStore(),
  Supabase: (options) => new SupabaseStatusStore(supabaseClient(), options),
  Postgres: (options) => new PostgresStatusStore(pool(inject('parts').connectionString), options),
  'Postgres 15': (options) =>
    new PostgresStatusStore(pool(inject('parts').postgres15.connectionString), options),
  PGlite: (options) => new PostgresStatusStore((pglite ??= newPglite()), options),
};

const pools = new Map<string, Pool>();

/** A pool on a server of the tests, one for each test file; it holds no process open. */
function pool(connectionString: string): Pool {
  const open = pools.get(connectionString) ?? new Pool({ connectionString, allowExitOnIdle: true });
  pools.set(connectionString, open);
  return open;
}

/** One for each test file, and only where it is used: it takes a second to start. */
let pglite: SqlClient | undefined;

function newPglite(): SqlClient {
  const client = pgliteClient(new PGlite());
  const ready = Promise.all(TABLES.map((table) => migrate(client, { table })));
  return {
    async query(text, values) {
      await ready;
      return client.query(text, values);
    },
  };
}

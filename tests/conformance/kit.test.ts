import { createClient } from '@supabase/supabase-js';
import type { StatusStore } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { statusStoreConformance, throughBatcher } from 'bullmq-job-status/testing';
import { Pool } from 'pg';
import { describe, test } from 'vitest';
import WebSocket from 'ws';
import { STORES } from '../support/stores.ts';

/* The public kit on the stores that ship, written to by itself and as trackers do it. */

const OPTIONS = { realtime: { transport: WebSocket as never } };

/** On a port where nobody listens. */
const UNAVAILABLE: Readonly<Record<string, () => StatusStore>> = {
  Postgres: () => new PostgresStatusStore(new Pool({ host: '127.0.0.1', port: 1 })),
  Supabase: () =>
    new SupabaseStatusStore(createClient('http://127.0.0.1:1', 'sb_secret_none', OPTIONS)),
};

/** One of each kind: `sql.test.ts` and `differential.test.ts` hold the SQL on other versions of Postgres. */
const KINDS = ['memory', 'Supabase', 'Postgres'].map((name) => [name, STORES[name]!] as const);

describe.each(KINDS)('%s store', (name, newStore) => {
  const createStore = () => newStore({ table: 'conformance' });
  const capabilities = { attempts: true, list: true, count: true, delete: true, prune: true };

  const createUnavailableStore = UNAVAILABLE[name];
  statusStoreConformance({ test, createStore, createUnavailableStore, capabilities });

  describe('through the batcher', () => {
    const throughIt = () => throughBatcher(createStore());
    // It has a part in what is written alone; what reads and deletes was tried above.
    const written = { attempts: true, list: false, count: false, delete: false, prune: false };
    statusStoreConformance({ test, createStore: throughIt, capabilities: written, runs: 20 });
  });
});

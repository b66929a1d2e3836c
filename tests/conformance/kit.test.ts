import { statusStoreConformance, throughBatcher } from 'bullmq-job-status/testing';
import { describe, test } from 'vitest';
import { STORES } from '../support/stores.ts';

/* The public kit on every store that ships; on one of each kind also as trackers write to it. */

const THROUGH_BATCHER = ['memory', 'Supabase', 'Postgres'];

describe.each(Object.entries(STORES))('%s store', (name, newStore) => {
  const createStore = () => newStore({ table: 'conformance' });
  const capabilities = { attempts: true, list: true, count: true, delete: true, prune: true };

  statusStoreConformance({ test, createStore, capabilities });

  if (!THROUGH_BATCHER.includes(name)) return;
  describe('through the batcher', () => {
    const throughIt = () => throughBatcher(createStore(), { flushTimeoutMs: 1_500 });
    statusStoreConformance({ test, createStore: throughIt, capabilities, runs: 50 });
  });
});

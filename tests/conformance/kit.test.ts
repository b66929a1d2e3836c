import { statusStoreConformance, throughBatcher } from 'bullmq-job-status/testing';
import { describe, test } from 'vitest';
import { STORES } from '../support/stores.ts';

/* The public kit on every store that ships, written to by itself and as trackers write to it. */

describe.each(Object.entries(STORES))('%s store', (_, newStore) => {
  const createStore = () => newStore({ table: 'conformance' });
  const capabilities = { attempts: true, list: true, count: true, delete: true, prune: true };

  statusStoreConformance({ test, createStore, capabilities });

  describe('through the batcher', () => {
    const throughIt = () => throughBatcher(createStore());
    statusStoreConformance({ test, createStore: throughIt, capabilities, runs: 100 });
  });
});

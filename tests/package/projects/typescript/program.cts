import { test } from 'node:test';
import { Worker } from 'bullmq';
import { attachStatusTracking, InvalidArgumentError } from 'bullmq-job-status';
import { MemoryStatusStore } from 'bullmq-job-status/memory';
import { migrationSql } from 'bullmq-job-status/migrations';
import { statusStoreConformance } from 'bullmq-job-status/testing';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';

const worker = new Worker<{ organizationId: string }>('exports', async () => 7, { connection: {} });
const tracker = attachStatusTracking(worker, new MemoryStatusStore(), {
  metadata: (job) => ({ organizationId: job.data.organizationId.trim() }),
});

// @ts-expect-error a misspelt option
attachStatusTracking(worker, new MemoryStatusStore(), { flushIntervallMs: 10 });
// @ts-expect-error a store without write
attachStatusTracking(worker, { get: async () => undefined });
// @ts-expect-error the URL is no client
new SupabaseStatusStore('http://localhost');

statusStoreConformance({ test, createStore: () => new MemoryStatusStore(), runs: 10 });
// @ts-expect-error a misspelt option
statusStoreConformance({ test, createStore: () => new MemoryStatusStore(), seeds: 1 });

void tracker.flush();
export const isOurs = (error: unknown): boolean => error instanceof InvalidArgumentError;
export const sql: string = migrationSql();

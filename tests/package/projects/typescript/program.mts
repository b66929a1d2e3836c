import { Worker } from 'bullmq';
import {
  attachStatusTracking,
  mergeStatus,
  JobStatusError,
  type JobStatus,
  type StatusStore,
  type StatusTracker,
  type StatusUpdate,
  type TrackingOptions,
} from 'bullmq-job-status';
import { MemoryStatusStore } from 'bullmq-job-status/memory';
import { migrate, migrationSql } from 'bullmq-job-status/migrations';
import { statusStoreConformance } from 'bullmq-job-status/testing';
import pg from 'pg';
import { test } from 'node:test';

interface ExportData {
  readonly organizationId: string;
}
interface ExportResult {
  readonly pages: number;
}

const worker = new Worker<ExportData, ExportResult>('exports', async () => ({ pages: 7 }), {
  connection: {},
});
const store = new MemoryStatusStore();

// What is asked of a job here is known of this worker's own.
const tracker: StatusTracker = attachStatusTracking(worker, store, {
  metadata: (job) => {
    const organizationId: string = job.data.organizationId;
    // @ts-expect-error the worker's data has no such field
    void job.data.tenantId;
    return { organizationId };
  },
  flushIntervalMs: undefined,
  onError: undefined,
});

// @ts-expect-error a misspelt option
attachStatusTracking(worker, store, { flushIntervallMs: 10 });
// @ts-expect-error a store without write
attachStatusTracking(worker, { get: async () => undefined });

// A store of one's own, from the contract and the law alone.
class OwnStore implements StatusStore {
  readonly #rows = new Map<string, JobStatus>();

  async write(updates: readonly StatusUpdate[]): Promise<void> {
    for (const update of updates) {
      this.#rows.set(update.jobId, mergeStatus(this.#rows.get(update.jobId), update));
    }
  }

  async get({ jobId }: { jobId: string }): Promise<JobStatus | undefined> {
    return this.#rows.get(jobId);
  }
}
const options: TrackingOptions = {
  onError: (error) => console.error(error instanceof JobStatusError, error.code),
};
attachStatusTracking(worker, new OwnStore(), options);

await migrate(new pg.Pool());
console.log(migrationSql({ schema: 'jobs' }).length, tracker.stats().lastError?.code);
const row = await store.get({ queue: 'exports', jobId: '1' });
const completedAt: Date | null | undefined = row?.completedAt;
console.log(completedAt);
statusStoreConformance({ test, createStore: () => new MemoryStatusStore(), runs: 10 });
// @ts-expect-error a misspelt option
statusStoreConformance({ test, createStore: () => new MemoryStatusStore(), seeds: 1 });

await tracker.close();

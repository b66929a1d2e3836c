import type { Worker } from 'bullmq';
import { attachStatusTracking, type StatusStore } from 'bullmq-job-status';
import { some } from './expect-type.ts';

/* What `metadata(job)` may return: anything that is an object now, and nothing that will be one. */

interface Owner {
  readonly organizationId: string;
}

const worker = some<Worker<Owner>>();
const store = some<StatusStore>();

attachStatusTracking(worker, store, { metadata: (job) => job.data });
attachStatusTracking(worker, store, { metadata: () => some<Record<string, string>>() });
attachStatusTracking(worker, store, { metadata: () => some<Record<string, unknown>>() });
attachStatusTracking(worker, store, { metadata: () => some<object>() });
attachStatusTracking(worker, store, { metadata: (): Owner | undefined => undefined });
attachStatusTracking(worker, store, { metadata: () => null });
attachStatusTracking(worker, store, { metadata: () => ({}) });
attachStatusTracking(worker, store, {
  metadata: ({ data }) => (data.organizationId === '' ? undefined : { ...data, region: 'eu' }),
});
// Where a worker's data has no type, BullMQ makes it `any`.
attachStatusTracking(some<Worker>(), store, { metadata: (job) => job.data });

// @ts-expect-error it must answer at once
attachStatusTracking(worker, store, { metadata: async (job) => job.data });
// @ts-expect-error a text is no object
attachStatusTracking(worker, store, { metadata: (job) => job.data.organizationId });

import {
  createPostgresBackend,
  Queue as Queue6,
  withBackend,
  type Worker as Worker6,
} from 'bullmq';
import type { Queue as Queue5 } from 'bullmq-v5';
import {
  attachQueueTracking,
  attachStatusTracking,
  cancelJob,
  reconcile,
  type CancelOutcome,
  type QueueJobOf,
  type ReconcileReport,
  type StatusStore,
  type StatusTracker,
  type TrackingOptions,
} from 'bullmq-job-status';
import { holds, some, type IsAny, type Same } from './expect-type.ts';

interface Data {
  readonly organizationId: string;
}
interface Result {
  readonly pages: number;
}
type Name = 'pdf' | 'csv';

const store = some<StatusStore>();

/* Queues of both versions and of any backend; hooks get what their jobs hold. */

const queue6 = some<Queue6<Data, Result, Name>>();
const tracker = attachQueueTracking(queue6, store, {
  metadata: (job) => {
    holds<Same<typeof job.data, Data>>();
    holds<Same<typeof job.name, Name>>();
    return { organizationId: job.data.organizationId };
  },
  filter: (job) => job.name === 'pdf' && job.opts.priority !== 1,
});
holds<Same<typeof tracker, StatusTracker>>();

attachQueueTracking(some<Queue5<Data, Result, Name>>(), store, {
  metadata: (job) => ({ organizationId: job.data.organizationId }),
});
attachQueueTracking(new Queue6('exports', { connection: {} }), store);

const { Queue: PostgresQueue } = withBackend(createPostgresBackend);
const onPostgres = new PostgresQueue('exports', {
  connection: { connectionString: 'postgres://localhost' },
});
attachQueueTracking(onPostgres, store);

/* One set of options for a queue and its workers. */

const shared: TrackingOptions<{ readonly data: Data }> = {
  metadata: ({ data }) => ({ organizationId: data.organizationId }),
};
attachQueueTracking(queue6, store, shared);
attachStatusTracking(some<Worker6<Data, Result, Name>>(), store, shared);

/* The others. */

const report = reconcile(queue6, store, {
  olderThan: 60_000,
  signal: AbortSignal.timeout(1_000),
  metadata: (job) => ({ organizationId: job.data.organizationId }),
});
holds<Same<typeof report, Promise<ReconcileReport>>>();
void reconcile(some<Queue5>(), store);
void reconcile(onPostgres, store);

const outcome = cancelJob(queue6, store, '1', { by: 'user', reason: undefined });
holds<Same<typeof outcome, Promise<CancelOutcome>>>();
void cancelJob(some<Queue5>(), store, '1');
void cancelJob(onPostgres, store, '1');

/* No `any` gets in where the queue has none. */

holds<Same<IsAny<QueueJobOf<Queue6<Data, Result, Name>>>, false>>();
holds<Same<QueueJobOf<Queue6<Data, Result, Name>>['data'], Data>>();

/* What must not compile. */

// @ts-expect-error a field that the queue's data does not have
attachQueueTracking(queue6, store, { metadata: (job) => ({ id: job.data.tenantId }) });
// @ts-expect-error a method: the job was read off the queue, and there is no `Job` of it
attachQueueTracking(queue6, store, { filter: (job) => job.remove() });
// @ts-expect-error a worker is no queue
attachQueueTracking(some<Worker6>(), store);
// @ts-expect-error a duration is in ms
void reconcile(queue6, store, { olderThan: '5m' });
// @ts-expect-error an option of tracking that plays no part
void reconcile(queue6, store, { flushOnClose: true });
// @ts-expect-error an id is text
void cancelJob(queue6, store, 1);

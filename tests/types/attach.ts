import { Worker as Worker6, Job as Job6, createPostgresBackend, withBackend } from 'bullmq';
import { Worker as Worker5, type Job as Job5 } from 'bullmq-v5';
import {
  attachStatusTracking,
  type JobOf,
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

/* Workers of both versions, and hooks that get their jobs. */

const worker6 = some<Worker6<Data, Result, Name>>();
const tracker = attachStatusTracking(worker6, store, {
  metadata: (job) => {
    holds<Same<typeof job, Job6<Data, Result, Name>>>();
    return { organizationId: job.data.organizationId };
  },
  filter: (job) => {
    holds<Same<typeof job, Job6<Data, Result, Name>>>();
    return job.name === 'pdf';
  },
  redact: (value, field, job) => {
    holds<Same<typeof value, unknown>>();
    holds<Same<typeof job, Job6<Data, Result, Name>>>();
    return field === 'result' ? job.data.organizationId : value;
  },
});
holds<Same<typeof tracker, StatusTracker>>();

attachStatusTracking(some<Worker5<Data, Result, Name>>(), store, {
  metadata: (job) => {
    holds<Same<typeof job, Job5<Data, Result, Name>>>();
    return { organizationId: job.data.organizationId };
  },
});

/* A worker as most programs write it: no type arguments, or a processor that has them. */

attachStatusTracking(new Worker6('exports', async () => {}, { connection: {} }), store);
attachStatusTracking(new Worker5('exports', async () => {}, { connection: {} }), store);
attachStatusTracking(
  new Worker6('exports', async (job: Job6<Data, Result>) => ({ pages: job.attemptsMade }), {
    connection: {},
  }),
  store,
  { metadata: (job) => ({ organization: job.data.organizationId }) },
);

/* Other backends, subclasses. */

const { Worker: PostgresWorker } = withBackend(createPostgresBackend);
const onPostgres = new PostgresWorker('exports', async () => {}, {
  connection: { connectionString: 'postgres://localhost' },
});
attachStatusTracking(onPostgres, store);

class ExportWorker extends Worker6<Data, Result, Name> {
  readonly region = 'eu';
}
attachStatusTracking(some<ExportWorker>(), store, {
  metadata: (job) => ({ organizationId: job.data.organizationId }),
});

/* A program's own function around it. */

function track<D extends Data>(worker: Worker6<D, Result>): StatusTracker {
  return attachStatusTracking(worker, store, {
    metadata: (job) => ({ organizationId: job.data.organizationId }),
  });
}
track(some<Worker6<Data & { readonly page: number }, Result>>());

const shared: TrackingOptions = { flushIntervalMs: 50, capture: { data: true } };
attachStatusTracking(worker6, store, shared);
attachStatusTracking(worker6, store, {
  ...shared,
  filter: (job) => job.data.organizationId !== '',
});

/* An explicit `undefined` means the default, so options may be passed on as they came. */

const passedOn: { [option in keyof TrackingOptions]: undefined } = {
  backoff: undefined,
  capture: undefined,
  filter: undefined,
  flushIntervalMs: undefined,
  flushOnClose: undefined,
  flushTimeoutMs: undefined,
  logger: undefined,
  maxBatchSize: undefined,
  maxPending: undefined,
  maxValueLength: undefined,
  metadata: undefined,
  onError: undefined,
  redact: undefined,
  writeTimeoutMs: undefined,
};
attachStatusTracking(worker6, store, passedOn);

/* No `any` gets in where the worker has none. */

holds<Same<JobOf<Worker6<Data, Result, Name>>, Job6<Data, Result, Name>>>();
holds<Same<IsAny<JobOf<Worker6>>, false>>();
holds<Same<IsAny<JobOf<Worker5>>, false>>();

/* What must not compile. */

// @ts-expect-error a misspelt option
attachStatusTracking(worker6, store, { flushIntervallMs: 10 });
// @ts-expect-error a wrong unit
attachStatusTracking(worker6, store, { flushIntervalMs: '10ms' });
// @ts-expect-error a field that does not exist
attachStatusTracking(worker6, store, { capture: { payload: true } });
// @ts-expect-error a field that the worker's data does not have
attachStatusTracking(worker6, store, { metadata: (job) => ({ id: job.data.tenantId }) });
// @ts-expect-error a store without write
attachStatusTracking(worker6, { get: async () => undefined });
// @ts-expect-error a worker is not a store
attachStatusTracking(worker6, worker6);
// @ts-expect-error a queue is no worker
attachStatusTracking({ name: 'exports', add: () => {} }, store);

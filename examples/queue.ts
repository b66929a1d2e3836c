import { Queue, Worker } from 'bullmq';
import { attachQueueTracking, attachStatusTracking, type TrackingOptions } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { Pool } from 'pg';

interface Export {
  readonly file: string;
  readonly organizationId: string;
}

const connection = { host: 'localhost', port: 6379 };
const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
const store = new PostgresStatusStore(pool);

// The same for both, so that a row has the same ids whoever told of it first.
const options: TrackingOptions<{ readonly data: Export }> = {
  metadata: ({ data }) => ({ organizationId: data.organizationId }),
};

// The queue tells of every job from the moment it is added: waiting, delayed, removed.
const queue = new Queue<Export>('exports', { connection });
attachQueueTracking(queue, store, options);

// The worker tells more of those that it runs, and sooner: progress, errors, its own name.
const worker = new Worker<Export>('exports', async ({ data }) => `${data.file}.csv`, {
  connection,
});
attachStatusTracking(worker, store, options);

const data = { file: 'orders', organizationId: 'acme' };
await queue.add('export', data);
await queue.add('export', data, { delay: 3_600_000 });

async function shutDown(): Promise<void> {
  await worker.close();
  await queue.close(); // each resolves once its rows are stored
  await pool.end();
}
process.once('SIGTERM', () => void shutDown());

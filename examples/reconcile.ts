import { Queue, Worker } from 'bullmq';
import { reconcile } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { Pool } from 'pg';

const connection = { host: 'localhost', port: 6379 };
const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
const store = new PostgresStatusStore(pool);

// The queues that are looked after, and one more for the work itself.
const queues = ['exports', 'mail'].map((name) => new Queue(name, { connection }));
const maintenance = new Queue('maintenance', { connection });

// However many processes run this, it runs once every five minutes.
await maintenance.upsertJobScheduler(
  'reconcile',
  { every: 5 * 60_000 },
  { name: 'reconcile', opts: { removeOnComplete: 10, removeOnFail: 100 } },
);

const worker = new Worker(
  maintenance.name,
  async () => {
    const reports = [];
    // Give the `capture`, `redact`, `metadata` and `filter` that tracking has.
    for (const queue of queues)
      reports.push({ queue: queue.name, ...(await reconcile(queue, store)) });
    return reports;
  },
  { connection },
);
worker.on('failed', (_job, error) => console.error(error.message));

async function shutDown(): Promise<void> {
  await worker.close();
  await Promise.all([maintenance, ...queues].map((queue) => queue.close()));
  await pool.end();
}
process.once('SIGTERM', () => void shutDown());

import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import { attachStatusTracking, cancelJob } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { Pool } from 'pg';

const connection = { host: 'localhost', port: 6379 };
const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
const store = new PostgresStatusStore(pool);

// One host runs the jobs. A processor with a third parameter is told when its job is to end.
const worker = new Worker(
  'exports',
  async (job, _token, signal) => {
    for (let page = 1; page <= 100; page++) {
      if (signal?.aborted) throw new Error(`Cancelled: ${signal.reason}`);
      await sleep(100); // or hand the signal on: fetch(url, { signal })
      await job.updateProgress(page);
    }
  },
  { connection },
);
attachStatusTracking(worker, store);

// Another, where somebody clicks on "cancel", has the queue and the store, and no worker.
const queue = new Queue('exports', { connection });
const { id = '' } = await queue.add('export', { file: 'orders' });
await sleep(1_000);
console.log(await cancelJob(queue, store, id, { by: 'user 7', reason: 'no longer needed' }));

await worker.close(); // once the job has ended: within two seconds
console.log(await store.get({ queue: 'exports', jobId: id }));
await queue.close();
await pool.end();

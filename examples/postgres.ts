import { Worker } from 'bullmq';
import { attachStatusTracking } from 'bullmq-job-status';
import { migrate } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { Pool } from 'pg';

const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
await migrate(pool); // or run migrationSql() with your other migrations

const connection = { host: 'localhost', port: 6379 };
const worker = new Worker('exports', async (job) => `${job.data.file}.csv`, { connection });
attachStatusTracking(worker, new PostgresStatusStore(pool));

process.once('SIGTERM', () => void worker.close().then(() => pool.end()));

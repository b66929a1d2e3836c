import { createClient } from '@supabase/supabase-js';
import { Worker } from 'bullmq';
import { attachStatusTracking } from 'bullmq-job-status';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';

const { SUPABASE_URL = '', SUPABASE_SECRET_KEY = '' } = process.env;
const supabase = createClient(SUPABASE_URL, SUPABASE_SECRET_KEY);

const connection = { host: 'localhost', port: 6379 };
const worker = new Worker('exports', async (job) => `${job.data.file}.csv`, { connection });
attachStatusTracking(worker, new SupabaseStatusStore(supabase), {
  metadata: (job) => ({ organizationId: job.data.organizationId }),
});

process.once('SIGTERM', () => void worker.close());

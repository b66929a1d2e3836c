import { createClient } from '@supabase/supabase-js';
import { Worker } from 'bullmq';
import { attachStatusTracking, type StatusPage } from 'bullmq-job-status';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';

const supabase = createClient('http://localhost', 'sb_secret_example');
const store = new SupabaseStatusStore(supabase, { schema: 'jobs' });
const worker = new Worker('exports', async () => ({ pages: 7 }), { connection: {} });
attachStatusTracking(worker, store);

const page: StatusPage = await store.list({ status: ['active', 'failed'] });
console.log(page.items.map(({ jobId, progress }) => [jobId, progress]));

// @ts-expect-error a misspelt option
new SupabaseStatusStore(supabase, { tabel: 'status' });

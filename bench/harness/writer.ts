// A process that writes jobs of its own for a while, and says how many rows a second that were.

import { createClient } from '@supabase/supabase-js';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { Pool } from 'pg';
import { batchesOf, livesOf } from './updates.ts';

const {
  store: name,
  url,
  key,
  connectionString,
  writer,
  ms,
} = JSON.parse(process.argv[2] ?? '{}') as {
  store: string;
  url: string;
  key: string;
  connectionString: string;
  writer: number;
  ms: number;
};
const pool = new Pool({ connectionString, max: 1 });
const store =
  name === 'Postgres'
    ? new PostgresStatusStore(pool)
    : new SupabaseStatusStore(createClient(url, key));
const [, ended = []] = livesOf(writer * 100_000_000, 20_000);
const batches = [...batchesOf(ended)];
await store.write(batches.pop() ?? []);

let rows = 0;
const start = performance.now();
for (const batch of batches) {
  if (performance.now() - start > ms) break;
  await store.write(batch);
  rows += batch.length;
}
console.log((rows * 1_000) / (performance.now() - start));
await pool.end();
process.exit(0);

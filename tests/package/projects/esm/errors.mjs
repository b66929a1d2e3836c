// Makes each entry fail, and prints whether the errors are the core entry's own.
import {
  attachStatusTracking,
  InvalidArgumentError,
  MemoryStatusStore,
  JobStatusError,
} from 'bullmq-job-status';
import { MemoryStatusStore as SameStore } from 'bullmq-job-status/memory';
import { migrationSql } from 'bullmq-job-status/migrations';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';

function invalid(act) {
  try {
    act();
  } catch (error) {
    const isInstance = error instanceof InvalidArgumentError;
    return { isInstance, isTypeError: error instanceof TypeError, code: error.code };
  }
}

const answer = { data: null, count: null, status: 404, error: { code: '42883', message: 'gone' } };
const client = { schema: () => ({ rpc: async () => answer, from: () => ({}) }) };
const refused = await new SupabaseStatusStore(client).write([]).catch((error) => error);

console.log(
  JSON.stringify({
    migrations: invalid(() => migrationSql({ schema: '' })),
    supabase: invalid(() => new SupabaseStatusStore(client, { table: '' })),
    attach: invalid(() => attachStatusTracking({}, new MemoryStatusStore())),
    store: { isInstance: refused instanceof JobStatusError, code: refused.code },
    memory: SameStore === MemoryStatusStore,
  }),
);

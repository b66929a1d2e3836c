// Makes each entry fail, and prints whether the errors are the core entry's own.
const {
  attachStatusTracking,
  InvalidArgumentError,
  MemoryStatusStore,
  JobStatusError,
} = require('bullmq-job-status');
const { MemoryStatusStore: SameStore } = require('bullmq-job-status/memory');
const { migrationSql } = require('bullmq-job-status/migrations');
const { SupabaseStatusStore } = require('bullmq-job-status/supabase');

async function main() {
  function invalid(act) {
    try {
      act();
    } catch (error) {
      const isInstance = error instanceof InvalidArgumentError;
      return { isInstance, isTypeError: error instanceof TypeError, code: error.code };
    }
  }

  const answer = {
    data: null,
    count: null,
    status: 404,
    error: { code: '42883', message: 'gone' },
  };
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
}

void main();

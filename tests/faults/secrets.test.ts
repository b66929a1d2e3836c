import { createClient } from '@supabase/supabase-js';
import { Queue, Worker } from 'bullmq';
import { attachStatusTracking, reconcile, type StatusStore } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { Pool } from 'pg';
import { expect, inject, test } from 'vitest';
import WebSocket from 'ws';
import { startRedis } from '../parts/index.ts';
import { manyJobs } from '../support/many-jobs.ts';
import { record } from './support/figures.ts';
import { Output } from './support/output.ts';
import { openStage } from './support/stage.ts';

/*
 * Clients that quote credentials, made to do so: what they say themselves has them, and what is told of it has
 * not. That no other fault brings one to light, each test's stage looks for at its end.
 */

/** What a store's client says, told as a tracker would. */
async function tell(store: StatusStore, output: Output): Promise<void> {
  const [update] = manyJobs(`secrets-${randomUUID()}`);
  await store.write([update!]).then(
    () => expect.fail('It was stored'),
    (error: unknown) => output.onError(error as Parameters<typeof output.onError>[0], [update!]),
  );
}

const clients: [
  string,
  () => { says: () => Promise<unknown>; store: StatusStore; secret: string },
][] = [
  [
    'supabase-js, of a key that is broken over two lines',
    () => {
      const { supabaseUrl, secretKey } = inject('parts');
      const key = `${secretKey}\n2`;
      const client = createClient(supabaseUrl, key, {
        realtime: { transport: WebSocket as never },
      });
      return {
        says: async () => (await client.from('job_status').select('*')).error,
        store: new SupabaseStatusStore(client),
        secret: secretKey,
      };
    },
  ],
  [
    'a client that quotes its connection string',
    () => {
      const { connectionString } = inject('parts');
      const query = () => Promise.reject(new Error(`can't reach ${connectionString}`));
      const secret = new URL(connectionString).password;
      return {
        says: () => query().catch((error: unknown) => error),
        store: new PostgresStatusStore({ query }),
        secret,
      };
    },
  ],
  [
    'Node, of a URL that is none',
    () => {
      const secret = randomUUID();
      const url = `postgres://app:${secret}@ database/x`;
      const query = async () => ({ rows: [new URL(url)] });
      return {
        says: () => query().catch((error: unknown) => error),
        store: new PostgresStatusStore({ query }),
        secret,
      };
    },
  ],
];

test.each(clients)(
  '%s: the credential is in its own words, and in none of what is told',
  async (_, client) => {
    const { says, store, secret } = client();
    expect(inspect(await says(), { depth: 10 })).toContain(secret);
    const output = new Output();
    await tell(store, output);
    output.expectNone([secret]);
  },
);

test('a Redis that no longer takes the password', async () => {
  await using own = await startRedis({ settings: {} });
  const { connection } = own;
  const name = `secrets-${randomUUID()}`;
  const queue = new Queue(name, { connection });
  queue.on('error', () => {});
  const output = new Output();
  const gate = Promise.withResolvers<void>();
  const worker = new Worker(name, () => gate.promise, { connection, autorun: false });
  const words: unknown[] = [];
  worker.on('error', (error) => words.push(error));
  await using stage = await openStage();
  attachStatusTracking(worker, stage.store, { onError: output.onError, logger: output.logger });
  await queue.add('job', {});
  const active = new Promise((resolve) => worker.once('active', resolve));
  void worker.run();
  await active;
  const admin = new Redis(connection);
  admin.on('error', () => {});
  await admin.config('SET', 'requirepass', 'another');
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal');
  await expect.poll(() => inspect(words, { depth: 10 })).toContain(connection.password);
  // The worker's look at its jobs, and a reconciliation.
  await reconcile(queue, stage.store, { onError: output.onError }).catch((error: unknown) =>
    output.onError(error as Parameters<typeof output.onError>[0], []),
  );
  await expect.poll(() => output.counts()).toHaveProperty('ERR_QUEUE_UNAVAILABLE');
  gate.resolve();
  await worker.close(true).catch(() => {});
  await queue.close().catch(() => {});
  admin.disconnect();
  output.expectNone([connection.password!]);
  record({
    fault: 'clients that quote credentials',
    load: 'supabase-js, pg and ioredis, made to',
    injected: 'a key over two lines, a URL that is none, a password that was changed',
    rowsWrong: 'no credential in any error, log line or row of any test',
  });
});

test('programs that listen to nothing are told of no credential either', async () => {
  const secret = randomUUID();
  const warnings: string[] = [];
  const listen = (warning: Error) => warnings.push(inspect(warning, { depth: 10 }));
  process.on('warning', listen);
  await using stage = await openStage();
  const worker = stage.worker(async () => 1);
  const pool = new Pool({ connectionString: `postgres://app:${secret}@127.0.0.1:1/x` });
  attachStatusTracking(worker, new PostgresStatusStore(pool), { flushTimeoutMs: 300 });
  await stage.queue.add('job', {});
  const done = new Promise((resolve) => worker.once('completed', resolve));
  void worker.run();
  await done;
  await expect.poll(() => warnings.join()).toContain('ERR_STORE_UNAVAILABLE');
  await worker.close();
  process.off('warning', listen);
  expect(warnings.join()).not.toContain(secret);
});

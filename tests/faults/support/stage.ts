import { createClient } from '@supabase/supabase-js';
import { Queue, type Processor, Worker, type WorkerOptions } from 'bullmq';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { randomUUID } from 'node:crypto';
import type { Pool, PoolConfig } from 'pg';
import { inject } from 'vitest';
import WebSocket from 'ws';
import { openPool } from '../../support/pool.ts';
import { startHttpProxy, type HttpProxy } from './http-proxy.ts';
import { Output } from './output.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** A queue, and the way from its workers to their rows, which can be broken. */
export interface Stage extends AsyncDisposable {
  readonly name: string;
  readonly queue: Queue;
  /** Before Postgres. */
  readonly database: TcpProxy;
  /** Of Postgres, through the proxy. */
  readonly databaseUrl: string;
  /** Before the Supabase-compatible API. */
  readonly api: HttpProxy;
  /** Straight to the rows, to see what is true. */
  readonly store: PostgresStatusStore;
  /** A pool that goes through the proxy. */
  pool(config?: PoolConfig): Pool;
  /** A store of the API, through its proxy. @param tracker whose, as its requests are marked */
  supabaseStore(tracker?: string): SupabaseStatusStore;
  /** A worker in this process, which does not run yet. */
  worker(process: Processor, options?: Partial<WorkerOptions>): Worker;
  /** All that is told, printed or stored here. That it holds no credential is checked at the end. */
  readonly output: Output;
}

export async function openStage(): Promise<Stage> {
  const { redis, connectionString, supabaseUrl, secretKey } = inject('parts');
  const server = new URL(connectionString);
  const database = await startTcpProxy(Number(server.port || 5432), server.hostname);
  const api = await startHttpProxy(supabaseUrl);
  const through = new URL(connectionString);
  through.hostname = '127.0.0.1';
  through.port = String(database.port);
  const name = `faults-${randomUUID()}`;
  const queue = new Queue(name, { connection: redis });
  const open: { close(): Promise<unknown> }[] = [];
  const pools: Pool[] = [];
  const openedPool = (url: string, config?: PoolConfig) => {
    pools.push(openPool(url, config));
    return pools.at(-1)!;
  };
  const store = new PostgresStatusStore(openedPool(connectionString));
  const output = new Output();
  // A shorter one would be found by chance.
  const secrets = [redis.password ?? '', server.password, secretKey].filter(
    ({ length }) => length > 7,
  );
  return {
    name,
    queue,
    database,
    databaseUrl: through.href,
    api,
    store,
    pool: (config) => openedPool(through.href, config),
    supabaseStore: (tracker = '') =>
      new SupabaseStatusStore(
        createClient(api.url, secretKey, {
          realtime: { transport: WebSocket as never },
          global: { headers: { 'x-tracker': tracker } },
        }),
      ),
    worker(process, options) {
      const worker = new Worker(name, process, { connection: redis, autorun: false, ...options });
      worker.on('error', (error) => output.add(error));
      open.push(worker);
      return worker;
    },
    output,
    async [Symbol.asyncDispose]() {
      // A test that failed while something was broken must not wait for it.
      api.answers('pass');
      await database.pass();
      await Promise.all(open.map((each) => each.close()));
      await output.addRows(store, name);
      await queue.obliterate({ force: true });
      await queue.close();
      // A pool waits for connections that it is still making, for as long as nobody answers.
      await Promise.all([database, api].map((each) => each[Symbol.asyncDispose]()));
      await Promise.all(pools.map((each) => each.end()));
      output.expectNone(secrets);
    },
  };
}

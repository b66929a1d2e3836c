import { Queue, type Processor, Worker, type WorkerOptions } from 'bullmq';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import { inject } from 'vitest';
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
  pool(): Pool;
  /** A worker in this process, which does not run yet. */
  worker(process: Processor, options?: Partial<WorkerOptions>): Worker;
  /** All that is told, printed or stored here. That it holds no credential is checked at the end. */
  readonly output: Output;
}

export async function openStage(): Promise<Stage> {
  const { redis, connectionString, supabaseUrl, secretKey } = inject('parts');
  const server = new URL(connectionString);
  const database = await startTcpProxy(Number(server.port));
  const api = await startHttpProxy(supabaseUrl);
  const through = new URL(connectionString);
  through.port = String(database.port);
  const name = `faults-${randomUUID()}`;
  const queue = new Queue(name, { connection: redis });
  const open: { close(): Promise<unknown> }[] = [];
  const pools: Pool[] = [];
  const pool = (url = through.href) => {
    pools.push(openPool(url));
    return pools.at(-1)!;
  };
  const store = new PostgresStatusStore(pool(connectionString));
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
    pool,
    worker(process, options) {
      const worker = new Worker(name, process, { connection: redis, autorun: false, ...options });
      worker.on('error', (error) => output.add(error));
      open.push(worker);
      return worker;
    },
    output,
    async [Symbol.asyncDispose]() {
      for (const each of open) await each.close();
      await output.addRows(store, name);
      await queue.obliterate({ force: true });
      await queue.close();
      await Promise.all(pools.map((each) => each.end()));
      await Promise.all([database, api].map((each) => each[Symbol.asyncDispose]()));
      output.expectNone(secrets);
    },
  };
}

import { Queue, Worker, type Processor, type WorkerOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { startRedis, type RedisPart } from '../../parts/index.ts';
import type { Output } from './output.ts';
import { startTcpProxy } from './tcp-proxy.ts';

/** A queue in a Redis of its own, which may be broken. Queue and workers reach it through a proxy. */
export interface OwnRedis extends AsyncDisposable {
  readonly queue: Queue;
  /** A worker in this process, which does not run yet. */
  worker(process: Processor, options?: Partial<WorkerOptions>): Worker;
  /** Tells the server itself, past the proxy. */
  command(name: string, ...args: string[]): Promise<unknown>;
  /** As a crash of the server does: SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on what it had written, and leads everybody there. */
  restart(): Promise<void>;
  /** Starts a replica, and resolves once it has all that there is. */
  startReplica(): Promise<Replica>;
}

export interface Replica {
  /** From now on the primary's writes do not reach it. */
  fallBehind(): void;
  /** Makes it the primary, and leads everybody there. */
  promote(): Promise<void>;
}

/** @param output is told what Redis' clients say, and searched for the server's password at the end */
export async function openOwnRedis(output: Output): Promise<OwnRedis> {
  const started = new AsyncDisposableStack();
  // Ended before any server is, also one that was started later.
  const clients = new AsyncDisposableStack();
  const requirepass = randomUUID();
  const dir = await mkdtemp(join(tmpdir(), 'job-status-own-redis-'));
  started.defer(() => rm(dir, { recursive: true, force: true }));
  const start = async (settings: Record<string, string>) =>
    started.use(
      await startRedis({ settings: { requirepass, masterauth: requirepass, ...settings } }),
    );
  // What it has answered is on its disk.
  const persistent = { appendonly: 'yes', appendfsync: 'always', dir };
  let server: RedisPart = await start(persistent);
  const proxy = started.use(await startTcpProxy(server.connection.port));
  const connection = { ...server.connection, port: proxy.port };

  const keep = <T extends Queue | Worker>(each: T): T => {
    (each as Queue).on('error', (error) => output.add(error));
    clients.defer(() => each.close());
    return each;
  };
  const name = `faults-${randomUUID()}`;
  const queue = keep(new Queue(name, { connection }));
  const lead = (to: RedisPart) => {
    server = to;
    proxy.leadTo(to.connection.port);
    // Who is still connected to the old one would stay there.
    proxy.cut();
  };

  return {
    queue,
    worker: (process, options) =>
      keep(new Worker(name, process, { connection, autorun: false, ...options })),
    command: (command, ...args) => tell(server, command, ...args),
    async kill() {
      process.kill(server.pid!, 'SIGKILL');
      await server.stop();
    },
    async restart() {
      lead(await start(persistent));
    },
    async startReplica() {
      const link = started.use(await startTcpProxy(server.connection.port));
      const replica = await start({});
      await tell(replica, 'replicaof', '127.0.0.1', String(link.port));
      await vi.waitFor(
        async () => {
          const info = String(await tell(replica, 'info', 'replication'));
          if (!info.includes('master_link_status:up')) throw new Error(info);
        },
        { timeout: 20_000, interval: 50 },
      );
      return {
        fallBehind: link.stall,
        async promote() {
          await tell(replica, 'replicaof', 'no', 'one');
          lead(replica);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await clients.disposeAsync();
      await started.disposeAsync();
      output.expectNone([requirepass]);
    },
  };
}

async function tell(server: RedisPart, command: string, ...args: string[]): Promise<unknown> {
  const client = new Redis(server.connection);
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

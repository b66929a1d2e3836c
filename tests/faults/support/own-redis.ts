import { Queue, Worker, type Processor, type WorkerOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis, type RedisPart } from '../../parts/index.ts';
import type { Output } from './output.ts';
import { startTcpProxy } from './tcp-proxy.ts';
import { until } from './until.ts';

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
  /** It has all that the primary has been told so far, and from then on nothing reaches it any more. */
  fallBehind(): Promise<void>;
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
  const persistent = {
    appendonly: 'yes',
    appendfsync: 'always',
    dir,
    // Not waiting for more replicas than one.
    'repl-diskless-sync-delay': '0',
  };
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
  let isDown = false;
  const lead = (to: RedisPart) => {
    server = to;
    isDown = false;
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
      isDown = true;
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
      const primary = server;
      // Until its offset is known it is not there yet.
      const untilAt = (offset: number) =>
        until(async () => (await offsetOf(replica, 'slave_repl_offset')) >= offset);
      await untilAt(0);
      return {
        async fallBehind() {
          await untilAt(await offsetOf(primary, 'master_repl_offset'));
          link.stall();
        },
        async promote() {
          await tell(replica, 'replicaof', 'no', 'one');
          lead(replica);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      // Where a test failed meanwhile: clients would wait for it for ever.
      if (isDown) lead(await start(persistent));
      await clients.disposeAsync();
      await started.disposeAsync();
      output.expectNone([requirepass]);
    },
  };
}

/** How far a server is in the stream of writes; below zero where it is in none. */
async function offsetOf(
  server: RedisPart,
  name: 'master_repl_offset' | 'slave_repl_offset',
): Promise<number> {
  const info = String(await tell(server, 'info', 'replication'));
  const isLinked = name === 'master_repl_offset' || info.includes('master_link_status:up');
  return isLinked ? Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? -1) : -1;
}

async function tell(server: RedisPart, command: string, ...args: string[]): Promise<unknown> {
  const client = new Redis(server.connection);
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

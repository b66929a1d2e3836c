import { setTimeout as sleep } from 'node:timers/promises';
import type { TrackableQueue } from '../bullmq.ts';
import {
  addressOf,
  CONNECT_TIMEOUT_MS,
  connectError,
  type Address,
  type AddressKind,
} from './address.ts';
import { POSTGRES } from './database.ts';
import type { QueueFlags } from './options.ts';
import { loadPackage } from './packages.ts';

/** What is used of BullMQ's `Queue`. */
interface Queue extends TrackableQueue {
  waitUntilReady(): Promise<unknown>;
  disconnect(): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

interface QueueOptions {
  readonly connection: Readonly<Record<string, unknown>>;
  readonly prefix?: string;
  /** Without it a `Queue` would write its own settings over those that the application gave. */
  readonly skipMetasUpdate: true;
}

interface QueueClasses {
  readonly Queue: new (name: string, options: QueueOptions) => Queue;
}

interface BullMQ extends QueueClasses {
  // Both from BullMQ 6 on.
  readonly createPostgresBackend?: unknown;
  readonly withBackend?: (createBackend: unknown) => QueueClasses;
}

const REDIS: AddressKind = {
  what: 'Redis',
  flag: '--redis-url',
  variable: 'REDIS_URL',
  schemes: ['redis', 'rediss'],
  example: 'redis://user:password@host:port/0',
};

const QUEUE_DATABASE: AddressKind = {
  ...POSTGRES,
  what: 'database of the queue',
  flag: '--queue-database-url',
};

/** Runs something on the queue that the flags name, by the project's own BullMQ. */
export async function withQueue<Result>(
  flags: QueueFlags,
  use: (queue: TrackableQueue) => Promise<Result>,
): Promise<Result> {
  const isOnPostgres = flags.queueDatabaseUrl !== undefined;
  const address = isOnPostgres
    ? addressOf(flags.queueDatabaseUrl, QUEUE_DATABASE)
    : addressOf(flags.redisUrl, REDIS);
  const bullmq = await loadPackage<BullMQ>('bullmq');
  const { Queue } = isOnPostgres ? onPostgres(bullmq) : bullmq;
  const what = isOnPostgres ? "the queue's database" : 'Redis';
  const connectionTo = isOnPostgres ? postgresConnection : redisConnection;
  const open = () =>
    new Queue(flags.queue, {
      connection: connectionTo(address),
      ...(flags.prefix !== undefined && { prefix: flags.prefix }),
      skipMetasUpdate: true,
    });
  const queue = await ready(open, what, address);
  try {
    return await use(queue);
  } finally {
    await queue.close();
  }
}

function onPostgres({ createPostgresBackend, withBackend }: BullMQ): QueueClasses {
  if (withBackend !== undefined) return withBackend(createPostgresBackend);
  throw new Error('BullMQ keeps queues in Postgres from version 6 on: npm install bullmq@6');
}

function postgresConnection({ url }: Address): QueueOptions['connection'] {
  return {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'bullmq-job-status',
    max: 1,
  };
}

function redisConnection({ url }: Address): QueueOptions['connection'] {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  if (!/^\/?\d*$/.test(pathname))
    throw new Error('what follows the host is no number of a database');
  // Taken apart here, for an older BullMQ 5 takes no URL.
  return {
    host: hostname.replaceAll(/^\[|\]$/g, ''),
    port: Number(port || 6379),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    db: Number(pathname.slice(1)),
    ...(protocol === 'rediss:' && { tls: {} }),
    // Any address of the host, not only those of IPv4.
    family: 0,
    // A command that fails says so, instead of trying until somebody ends it.
    retryStrategy: () => null,
    commandTimeout: CONNECT_TIMEOUT_MS,
  };
}

/** A queue that answers. What goes wrong before is told at once; BullMQ itself would wait for better times. */
async function ready(open: () => Queue, what: string, address: Address): Promise<Queue> {
  let queue: Queue | undefined;
  let failure: Error | undefined;
  try {
    queue = open();
    // Also of a database number that there is none of: Redis would go on with another one.
    queue.on('error', (error) => {
      failure ??= error;
    });
    await Promise.race([queue.waitUntilReady(), timeout()]);
    if (failure !== undefined) throw failure;
    return queue;
  } catch (error) {
    // Not awaited: either may wait for a server that never answers. What has failed needs no good manners,
    // for which a client would take another two seconds.
    const ending = failure === undefined ? queue?.close() : queue?.disconnect();
    ending?.catch(() => {});
    throw connectError(what, address, failure ?? error);
  }
}

async function timeout(): Promise<never> {
  await sleep(CONNECT_TIMEOUT_MS, undefined, { ref: false });
  throw new Error('timeout expired');
}

import { createPostgresReader, type PostgresConnection } from './postgres.ts';
import type { QueueReader } from './reader.ts';
import { createRedisReader, type RedisClient } from './redis.ts';

/** What is looked for in a `Queue` or `Worker`, of which a user's own backend may have none. */
interface Owner {
  readonly name: string;
  readonly toKey?: unknown;
  readonly closing?: unknown;
  /** BullMQ 5. */
  readonly client?: unknown;
  /** BullMQ 6. */
  readonly getBackend?: unknown;
}

/**
 * A reader of the queue that a BullMQ `Queue` or `Worker` stands for, over its own connection.
 *
 * @returns `undefined` where the queue is kept in what nobody here can read
 */
export function createQueueReader(owner: { readonly name: string }): QueueReader | undefined {
  const { name, toKey, getBackend } = owner as Owner;
  const backend: unknown =
    typeof getBackend === 'function' ? Reflect.apply(getBackend, owner, []) : owner;
  if (!isObject(backend)) return undefined;
  const { connection } = backend;
  if (isPostgres(connection)) return createPostgresReader(name, connection);
  if (typeof toKey !== 'function' || !isPromise(backend['client'])) return undefined;
  return createRedisReader({
    name,
    // Asked for each time: BullMQ makes another where it has to.
    client: () => backend['client'] as Promise<RedisClient>,
    isClosing: () => (owner as Owner).closing !== undefined,
    toKey: (type) => String(Reflect.apply(toKey, owner, [type])),
  });
}

function isPostgres(connection: unknown): connection is PostgresConnection {
  return (
    isObject(connection) &&
    typeof connection['schema'] === 'string' &&
    typeof connection['waitUntilReady'] === 'function' &&
    isObject(connection['pool']) &&
    typeof connection['pool']['query'] === 'function'
  );
}

function isPromise(value: unknown): boolean {
  return isObject(value) && typeof value['then'] === 'function';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

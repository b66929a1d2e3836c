import { unlessAborted } from '../deadline.ts';

/** The one method of `pg.Pool`, `pg.Client` and their like that the store needs. */
export interface PostgresClientLike {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
}

/** The part of a `pg.Pool` by which one of its connections is taken out, and given up. */
interface PoolLike {
  readonly totalCount: number;
  connect(): Promise<PooledClient>;
}

interface PooledClient extends PostgresClientLike {
  on(event: 'error', listener: () => void): unknown;
  removeListener(event: 'error', listener: () => void): unknown;
  release(isLost?: boolean): void;
}

/** Runs a statement; where the signal aborts, it rejects with its reason and lets go of all that it held. */
export type Query = (
  text: string,
  values: unknown[],
  signal?: AbortSignal,
) => Promise<{ rows: unknown[] }>;

/** Says nothing: what breaks a connection is told by the next statement on it. */
const ignore = () => {};

/** Clients whose `error` event is heard. */
const heard = new WeakSet<object>();

/**
 * How a client's statements are run, so that a database that is away costs the program nothing else:
 *
 * - A connection that breaks while nobody uses it is an `error` event, which ends the process where nobody
 *   listens. So somebody listens.
 * - A statement that nobody waits for any more takes its connection along. Left to itself it would hold it until
 *   the network gives it up, a quarter of an hour later, and each write that is repeated would take another,
 *   until the pool has none left for the jobs.
 * - Nor does a pool that has none to give get one request more for each write that is repeated: the next one
 *   takes over the request of one that no longer waits.
 */
export function queryOn(client: PostgresClientLike): Query {
  listen(client);
  if (!isPool(client)) {
    return (text, values, signal) => {
      const result = client.query(text, values);
      return signal === undefined ? result : unlessAborted(result, signal);
    };
  }
  const connect = connectionsOf(client);
  return async (text, values, signal = new AbortController().signal) => {
    const connection = await connect(signal);
    connection.on('error', ignore);
    try {
      return await unlessAborted(connection.query(text, values), signal);
    } finally {
      // One that is lost may say so later.
      if (!signal.aborted) connection.removeListener('error', ignore);
      connection.release(signal.aborted);
    }
  };
}

function listen(client: { on?: PooledClient['on'] } & object): void {
  if (heard.has(client) || typeof client.on !== 'function') return;
  heard.add(client);
  client.on('error', ignore);
}

function isPool(client: object): client is PoolLike & PostgresClientLike {
  const { connect, totalCount } = client as Partial<PoolLike>;
  return typeof connect === 'function' && typeof totalCount === 'number';
}

/** Takes connections out of a pool. */
function connectionsOf(pool: PoolLike): (signal: AbortSignal) => Promise<PooledClient> {
  /** Asked for by statements that no longer wait. */
  const left = new Set<Promise<PooledClient>>();

  return async (signal) => {
    signal.throwIfAborted();
    const [asked = pool.connect()] = left;
    left.delete(asked);
    try {
      return await unlessAborted(asked, signal);
    } catch (error) {
      if (signal.aborted) {
        left.add(asked);
        asked.then(
          (connection) => left.delete(asked) && connection.release(),
          () => left.delete(asked),
        );
      }
      throw error;
    }
  };
}

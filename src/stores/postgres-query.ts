import { unlessAborted } from '../deadline.ts';

/**
 * The one method of `pg.Client` and its like that the store needs. Of a pool it takes connections with `connect`,
 * for one that hangs must be given up.
 */
export interface PostgresClientLike {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
}

/** The part of a `pg.Pool` by which one of its connections is taken out, and given up. */
interface PoolLike {
  readonly totalCount: number;
  readonly idleCount: number;
  connect(): Promise<PooledClient>;
}

interface PooledClient extends PostgresClientLike {
  on(event: 'error', listener: () => void): unknown;
  removeListener(event: 'error', listener: () => void): unknown;
  release(isLost: boolean): void;
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
 *   takes over the request of one that no longer waits, until two have done so in vain.
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
    let isSound = false;
    try {
      const result = await unlessAborted(connection.query(text, values), signal);
      isSound = true;
      return result;
    } catch (error) {
      // Postgres itself has answered; a time limit of the client's own, say, leaves the statement under way.
      isSound = typeof (error as { severity?: unknown } | undefined)?.severity === 'string';
      throw error;
    } finally {
      // One that is lost may say so later.
      if (isSound) connection.removeListener('error', ignore);
      connection.release(!isSound);
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

/** A connection that a pool was asked for. */
interface Request {
  readonly connection: Promise<PooledClient>;
  /** How many statements no longer wait for it. */
  givenUp: number;
}

/** How many have to give a request up before it is asked anew: it may be one that nobody will ever answer. */
const MAX_GIVEN_UP = 2;

/** How many requests are left at most: each may be a place in the pool, which the jobs need. */
const MAX_LEFT = 3;

/** Takes connections out of a pool. */
function connectionsOf(pool: PoolLike): (signal: AbortSignal) => Promise<PooledClient> {
  /** Those that nobody waits for, the one that was asked for last at the end. */
  const left: Request[] = [];

  function remove(request: Request): boolean {
    const at = left.indexOf(request);
    if (at !== -1) left.splice(at, 1);
    return at !== -1;
  }

  function ask(): Request {
    const last = left.at(-1);
    const isHopeful = last !== undefined && last.givenUp < MAX_GIVEN_UP;
    // One that lies ready is given at once.
    if (last === undefined || pool.idleCount > 0 || (!isHopeful && left.length < MAX_LEFT))
      return { connection: pool.connect(), givenUp: 0 };
    remove(last);
    return last;
  }

  return async (signal) => {
    signal.throwIfAborted();
    const request = ask();
    try {
      return await unlessAborted(request.connection, signal);
    } catch (error) {
      if (signal.aborted) {
        request.givenUp += 1;
        left.push(request);
        request.connection.then(
          // Unless the next statement has taken it over.
          (connection) => remove(request) && connection.release(false),
          () => remove(request),
        );
      }
      throw error;
    }
  };
}

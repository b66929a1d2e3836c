import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { findExecutable, redisInstructions, installRedis } from './find-redis.ts';
import { newTempDir, onFreePort, supervise } from './supervise.ts';

export { findRedis } from './find-redis.ts';

/** Connection options that BullMQ and ioredis both take. */
export interface RedisConnection {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  readonly tls?: Record<string, never>;
  /** BullMQ's workers insist on it: a blocking command is never given up. */
  readonly maxRetriesPerRequest: null;
}

/** A real Redis (or Valkey). Each test uses its own queue names, as it may be a shared one. */
export interface RedisPart extends AsyncDisposable {
  readonly url: string;
  readonly connection: RedisConnection;
  /** Such as `redis 7.0.15`. */
  readonly version: string;
  /** Process id of the server; undefined where it is not ours (`REDIS_URL`). */
  readonly pid: number | undefined;
  /** Stops it where it is ours. Safe to call again. */
  stop(this: void): Promise<void>;
}

export interface StartRedisOptions {
  /** Whether it may be installed where it is missing and that takes no question. @default true */
  readonly install?: boolean | undefined;
  /** Server settings, as in `redis.conf`; with any it is always one of our own. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/**
 * A Redis: the one `REDIS_URL` names, used as it is and never stopped; else one of our own from a
 * `redis-server` or `valkey-server` on the PATH; else, on Debian as root, from one that is
 * installed first; else an error with the one line that tells how to get it.
 */
export async function startRedis(options: StartRedisOptions = {}): Promise<RedisPart> {
  const given = process.env['REDIS_URL'];
  if (given && !options.settings) {
    return { ...(await describe(given)), pid: undefined, ...lifetime(async () => {}) };
  }
  const command =
    (await findExecutable('redis-server', 'valkey-server')) ??
    ((options.install ?? true) ? await installRedis() : undefined);
  if (!command) throw new Error(redisInstructions());

  const server = await onFreePort(async (port) => {
    const settings = redisSettings(port, options.settings);
    const running = await supervise(command, asArguments(settings), {
      tempDir: newTempDir('redis'),
      // Its own words rather than a PING: only this says that the port is ours.
      ready: /Ready to accept connections/,
    });
    return { ...running, url: `redis://:${settings.requirepass}@127.0.0.1:${port}` };
  });
  try {
    return { ...(await describe(server.url)), pid: server.pid, ...lifetime(server.stop) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function redisSettings(port: number, own: StartRedisOptions['settings']) {
  return {
    port: String(port),
    bind: '127.0.0.1',
    // Nothing on disk: it lives as long as the tests.
    save: '',
    appendonly: 'no',
    // What BullMQ asks for: a key evicted behind its back is a job lost.
    'maxmemory-policy': 'noeviction',
    // Credentials as production has them, so that tests see where they turn up.
    requirepass: randomUUID(),
    ...own,
  };
}

function asArguments(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

/** Reads connection options off a URL, and asks the server behind it who it is. */
async function describe(url: string): Promise<Pick<RedisPart, 'url' | 'connection' | 'version'>> {
  const { hostname, port, username, password, pathname, protocol } = new URL(url);
  const connection: RedisConnection = {
    // URLs put IPv6 addresses in brackets, sockets don't.
    host: hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: Number(port || 6379),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(pathname.length > 1 && { db: Number(pathname.slice(1)) }),
    ...(protocol === 'rediss:' && { tls: {} }),
    maxRetriesPerRequest: null,
  };
  const client = new Redis({ ...connection, lazyConnect: true, retryStrategy: () => null });
  // The rejection of `connect` says it; without a listener ioredis would print it as well.
  client.on('error', () => {});
  try {
    await client.connect();
    const info = await client.info('server');
    const [, name, version] =
      /(valkey)_version:(\S+)/.exec(info) ?? /(redis)_version:(\S+)/.exec(info) ?? [];
    return { url, connection, version: `${name} ${version}` };
  } finally {
    client.disconnect();
  }
}

function lifetime(stop: () => Promise<void>): Pick<RedisPart, 'stop' | typeof Symbol.asyncDispose> {
  return { stop, [Symbol.asyncDispose]: stop };
}

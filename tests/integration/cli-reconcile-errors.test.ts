import { Queue } from 'bullmq';
import getPort from 'get-port';
import { Redis } from 'ioredis';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { findRedis, installRedis } from '../parts/find-redis.ts';
import { onFreePort, supervise, type Supervised } from '../parts/index.ts';
import { cli } from '../support/cli.ts';
import { redisUrl } from '../support/redis-url.ts';

/* What goes wrong with `reconcile` is told soon, in a line or a few, without a password. */

/** A Redis that asks for a password, and that a test may end. */
async function startLockedRedis(): Promise<Supervised & { readonly port: number }> {
  const command = (await findRedis()) ?? (await installRedis());
  if (command === undefined) throw new Error('No redis-server found');
  return onFreePort(async (port) => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--requirepass', 's3cret'];
    const ready = /Ready to accept connections/;
    return { ...(await supervise(command, [...args, '--save', ''], { ready })), port };
  });
}

let locked: Awaited<ReturnType<typeof startLockedRedis>>;
beforeAll(async () => {
  locked = await startLockedRedis();
});
afterAll(() => locked?.stop());

/** The error of a run that must fail, and how long it took. */
async function failure(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const since = performance.now();
  const given = { DATABASE_URL: inject('parts').connectionString, REDIS_URL: redisUrl(), ...env };
  const { stdout, stderr, exitCode } = await cli(['reconcile', ...args], { env: given });
  expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
  expect(stderr).toMatch(/^error: [^\n]+\n(?:[^\n]+\n){0,2}$/);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stderr).not.toMatch(/cret|rediss?:\/\/(?!user:password@)|postgres:\/\/(?!user:password@)/);
  return { stderr, ms: performance.now() - since };
}

const EXPORTS = ['--queue', 'exports'];

describe('usage', () => {
  test.each<[string, string]>([
    ['', "required option '--queue <name>' not specified"],
    ['--queue=', "argument '' is invalid. It is empty."],
    ['--queue eu:exports', 'A prefix before the ":" goes into --prefix.'],
    ['--queue exports --older-than soon', 'Expected a duration up to 365d, such as 90s, 5m or 1h.'],
    ['--queue exports --older-than 5', 'Expected a duration up to 365d'],
    ['--queue exports --ended-within 5', 'Expected a duration up to 365d'],
    ['--queue exports --older-than 366d', 'Expected a duration up to 365d'],
    ['--queue exports --batch-size 501', 'Expected a whole number from 1 to 500.'],
    ['--queue exports --batch-size 1e2', 'Expected a whole number from 1 to 500.'],
    ['--queue exports --table=', 'Expected --table to be a name of 1 to 46 bytes, got ""'],
    [
      '--queue exports --redis-url redis://h --queue-database-url postgres://u@h/d',
      "option '--queue-database-url <url>' cannot be used with option '--redis-url <url>'",
    ],
    [
      '--queue exports --prefix eu --queue-database-url postgres://u@h/d',
      "cannot be used with option '--prefix <prefix>'",
    ],
    ['--queue exports --redis-url=', '--redis-url is empty'],
    ['--queue exports --queue-database-url=', '--queue-database-url is empty'],
    ['--queue exports --redis-url redis://:s3#cret@h', '--redis-url is no connection string like'],
    ['--queue exports --redis-url http://:s3cret@h', '--redis-url is no connection string like'],
    [
      '--queue exports --queue-database-url mysql://u:s3cret@h/d',
      '--queue-database-url is no connection string like postgres://user:password@',
    ],
  ])('%s', async (args, message) => {
    const { stderr } = await failure(args.split(' ').filter((each) => each !== ''));
    expect(stderr).toContain(message);
  });

  test('no Redis given: none is guessed, for a wrong one would have every row removed', async () => {
    const { stderr } = await failure(EXPORTS, { REDIS_URL: '' });
    expect(stderr).toBe('error: No Redis given: set REDIS_URL, or add --redis-url <url>\n');
  });

  test('no database given', async () => {
    const { stderr } = await failure(EXPORTS, { DATABASE_URL: '' });
    expect(stderr).toContain('No database given: set DATABASE_URL');
  });
});

test('help', async () => {
  const { stdout, stderr, exitCode } = await cli(['reconcile', '--help']);
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  expect(stdout).toContain('Usage: bullmq-job-status reconcile [options]');
  expect(stdout).toMatch(/Examples:\n.*npx bullmq-job-status reconcile --queue exports/);
});

describe('a Redis that', () => {
  test('is not there', async () => {
    const REDIS_URL = `redis://:s3cret@127.0.0.1:${await getPort()}`;
    const { stderr, ms } = await failure(EXPORTS, { REDIS_URL });
    expect(stderr).toBe(
      `error: Can't connect to Redis at ${new URL(REDIS_URL).host}: nothing listens there (ECONNREFUSED). Check that it runs, and host, user, password and database in REDIS_URL\n`,
    );
    expect(ms).toBeLessThan(5_000);
  });

  test('has no address', async () => {
    const { stderr } = await failure([
      ...EXPORTS,
      '--redis-url',
      'redis://u:s3cret@nowhere.invalid',
    ]);
    expect(stderr).toMatch(/at nowhere\.invalid: .*\((?:ENOTFOUND|EAI_AGAIN)\).* in --redis-url/);
  });

  test.each<[string, string]>([
    ['', 'it asks for a password'],
    [':s3cret!@', 'WRONGPASS invalid username-password pair or user is disabled'],
    ['nobody:s3cret@', 'WRONGPASS invalid username-password pair'],
  ])('refuses who comes as "%s"', async (who, message) => {
    const REDIS_URL = `redis://${who}127.0.0.1:${locked.port}`;
    const { stderr, ms } = await failure(EXPORTS, { REDIS_URL });
    expect(stderr).toContain(message);
    expect(ms).toBeLessThan(5_000);
  });

  test.each<[string, string]>([
    // Redis itself would go on with database 0, of which it was not asked.
    ['99', 'DB index is out of range'],
    ['main', 'what follows the host is no number of a database'],
  ])('has no database "%s"', async (database, message) => {
    const REDIS_URL = `redis://:s3cret@127.0.0.1:${locked.port}/${database}`;
    expect((await failure(EXPORTS, { REDIS_URL })).stderr).toContain(message);
  });

  test('takes the connection, and never answers: it is given up after ten seconds', async () => {
    const server = createServer(() => {});
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const { stderr, ms } = await failure(EXPORTS, { REDIS_URL: `redis://127.0.0.1:${port}` });
    expect(stderr).toContain('no answer within 10 s');
    expect(ms).toBeLessThan(19_000);
    server.close();
  });

  test('is no Redis', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const { stderr } = await failure(EXPORTS, { REDIS_URL: `redis://127.0.0.1:${port}` });
    expect(stderr).toMatch(/^error: Can't connect to Redis: /);
    server.close();
  });

  test('ends in between', async () => {
    const own = await startLockedRedis();
    const connection = { host: '127.0.0.1', port: own.port, password: 's3cret' };
    const queue = new Queue('exports', { connection });
    queue.on('error', () => {});
    await queue.addBulk(Array.from({ length: 5_000 }, () => ({ name: 'job', data: {} })));
    await queue.close();
    const REDIS_URL = `redis://:s3cret@127.0.0.1:${own.port}`;
    const failed = failure([...EXPORTS, '--batch-size', '1'], { REDIS_URL });
    const onlooker = new Redis(connection);
    // With the first one in, besides the onlooker, it has begun.
    const clients = async () =>
      (await onlooker.info('clients')).match(/connected_clients:(\d+)/)?.[1];
    await expect.poll(clients, { interval: 10, timeout: 10_000 }).toBe('2');
    onlooker.disconnect();
    await own.stop();
    const { stderr, ms } = await failed;
    expect(stderr).toMatch(/^error: .*(?:The queue "exports" can't be read|connect to Redis)/);
    expect(ms).toBeLessThan(10_000);
  });
});

describe('a database that', () => {
  test('has no table', async () => {
    const { stderr } = await failure([...EXPORTS, '--table', 'nowhere']);
    expect(stderr).toContain(
      'Run `npx bullmq-job-status migrate --database-url <url> --table nowhere`',
    );
  });

  test('is not there', async () => {
    const DATABASE_URL = `postgres://user:s3cret@127.0.0.1:${await getPort()}/d`;
    expect((await failure(EXPORTS, { DATABASE_URL })).stderr).toContain('nothing listens there');
  });

  test('should have the queue, and has not', async () => {
    const port = await getPort();
    const gone = `postgres://user:s3cret@127.0.0.1:${port}/d`;
    const { stderr } = await failure([...EXPORTS, '--queue-database-url', gone]);
    expect(stderr).toContain(`Can't connect to the queue's database at 127.0.0.1:${port}: nothing`);
    expect(stderr).toContain('in --queue-database-url');
  });
});

import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findRedis, postgresBackend, runSql, startPostgres, startRedis } from './index.ts';

// A cold start may have to install Redis, and other test files start parts at the same time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

// The defaults are what is tested here, whatever the rest of the run uses.
beforeEach(() => {
  for (const name of ['REDIS_URL', 'DATABASE_URL', 'POSTGRES_BIN']) vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe('redis', () => {
  test('starts one on a port of its own, as BullMQ wants it', async () => {
    await using part = await startRedis();
    expect(part.version).toMatch(/^(?:redis|valkey) \d+\.\d+/);
    const { password, port } = part.connection;
    expect(part.url).toBe(`redis://:${password}@127.0.0.1:${port}`);

    const client = new Redis(part.connection);
    await client.set('key', 'value');
    expect(await client.get('key')).toBe('value');
    expect(await client.config('GET', 'maxmemory-policy')).toContain('noeviction');
    client.disconnect();
  });

  test('uses the one REDIS_URL names, and leaves it running', async () => {
    await using running = await startRedis();
    vi.stubEnv('REDIS_URL', `${running.url}/2`);
    const part = await startRedis();
    expect(part).toMatchObject({ url: `${running.url}/2`, pid: undefined });
    expect(part.connection).toEqual({ ...running.connection, db: 2 });
    await part.stop();

    const client = new Redis(running.connection);
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
  });

  test('says in one line how to get it where it is missing and may not be installed', async () => {
    vi.stubEnv('PATH', '/nowhere');
    expect(await findRedis()).toBeUndefined();
    // Without apt-get on the PATH even root can't.
    for (const install of [true, false]) {
      await expect(startRedis({ install })).rejects.toThrow(
        /^No Redis found: run `.*install redis.*REDIS_URL to one that is running\.$/,
      );
    }
  });
});

describe('postgres', () => {
  test('starts the one from npm, with databases beside the first', async () => {
    await using part = await startPostgres({ settings: { max_connections: '42' } });
    expect(part.version).toMatch(/^18\./);
    const other = await part.createDatabase('other');
    const [row] = await runSql(
      other,
      `select current_database() as name, current_setting('max_connections') as max,
        current_setting('fsync') as fsync, current_setting('server_encoding') as encoding`,
    );
    expect(row).toEqual({ name: 'other', max: '42', fsync: 'on', encoding: 'UTF8' });
  });

  test("starts npm's of the version asked for, whatever the environment names", async () => {
    vi.stubEnv('DATABASE_URL', 'postgres://nobody@127.0.0.1:1/nowhere');
    vi.stubEnv('POSTGRES_BIN', '/nowhere');
    await using oldest = await startPostgres({ version: 15 });
    await using newest = await startPostgres({ version: 18 });
    expect([oldest.version, newest.version]).toEqual([
      expect.stringMatching(/^15\./),
      expect.stringMatching(/^18\./),
    ]);
    // What the server itself says, beside what its programs are called.
    const [row] = await runSql(oldest.connectionString, 'select version()');
    expect(row?.['version']).toMatch(/^PostgreSQL 15\./);
  });

  test('counts what its log says of constraints violated', async () => {
    await using part = await startPostgres();
    await runSql(part.connectionString, 'create table numbers (n int check (n > 0))');
    for (const n of [-1, 1, -2]) {
      const insert = runSql(part.connectionString, `insert into numbers values (${n})`);
      await (n < 0 ? expect(insert).rejects.toMatchObject({ code: '23514' }) : insert);
    }
    expect(await part.countInLog(/violates check constraint/)).toBe(2);
    // Each line says in which database.
    expect(await part.countInLog(/ postgres ERROR: .*violates check constraint/)).toBe(2);
  });

  test('uses the one DATABASE_URL names, whose log it cannot read', async () => {
    await using running = await startPostgres();
    vi.stubEnv('DATABASE_URL', running.connectionString);
    const part = await startPostgres();
    expect(part).toMatchObject({ port: running.port, pid: undefined });
    await expect(part.countInLog(/x/)).rejects.toThrow("can't be read");
    // A second run must not stumble over what the first left on the server.
    expect(await part.createDatabase('same')).not.toBe(await part.createDatabase('same'));
    await part.stop();

    expect(await runSql(running.connectionString, 'select 1 as n')).toEqual([{ n: 1 }]);
  });

  test('says in its own words why it would not start', async () => {
    await expect(startPostgres({ settings: { no_such_setting: '1' } })).rejects.toThrow(
      /unrecognized configuration parameter "no_such_setting"/,
    );
  });

  test('keeps a BullMQ queue', async () => {
    await using part = await startPostgres();
    const { Queue, Worker, connection } = postgresBackend(part.connectionString);
    const queue = new Queue('sums', { connection });
    const worker = new Worker('sums', async (job) => job.data.a + job.data.b, { connection });
    const result = new Promise((resolve) => worker.once('completed', (_job, sum) => resolve(sum)));
    await queue.add('sum', { a: 2, b: 3 });
    expect(await result).toBe(5);
    await worker.close();
    await queue.close();
  });
});

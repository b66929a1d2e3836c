import { migrate, migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore, type PostgresClientLike } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import getPort from 'get-port';
import { inspect } from 'node:util';
import { Client, Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { JobStatusError } from '../../src/errors.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { supabaseClient } from '../support/stores.ts';

const completed = (jobId: string, queue = 'postgres') =>
  new JobHistory({ queue, id: jobId }).start().complete().snapshots.slice(1);

let pool: Pool;

beforeAll(() => {
  pool = new Pool({ connectionString: inject('parts').connectionString });
});

afterAll(() => pool.end());

describe('clients', () => {
  test('a pool, and a client of its own, connected', async () => {
    const client = new Client({ connectionString: inject('parts').connectionString });
    await client.connect();
    for (const [jobId, each] of Object.entries({ pool, client })) {
      const store = new PostgresStatusStore(each);
      await store.write(completed(jobId));
      expect(await store.get({ queue: 'postgres', jobId })).toMatchObject({ status: 'completed' });
    }
    await client.end();
  });

  test.each<[string, unknown[], string]>([
    [
      'no client',
      [undefined],
      "Expected `client` to be a client with pg's query(text, values), got undefined",
    ],
    ['a URL', ['postgres://u:s3cret@host/db'], 'got a string'],
    ['a misspelt option', [{ query() {} }, { tabel: 'x' }], 'Unknown key `tabel` in options'],
  ])('%s is refused at once', (_, args, message) => {
    const create = () => new PostgresStatusStore(...(args as [PostgresClientLike]));
    expect(create).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    expect(create).toThrow(message);
    expect(create).not.toThrow('s3cret');
  });

  test("a client's own type parsers and time zone have no say in the rows", async () => {
    const { connectionString } = inject('parts');
    const options = '-c timezone=Asia/Kathmandu -c datestyle=German';
    const types = { getTypeParser: () => () => 'parsed otherwise' };
    const odd = new Pool({ connectionString, options, types });
    const [update] = completed('odd');
    await new PostgresStatusStore(odd).write([update!]);
    const row = await new PostgresStatusStore(pool).get(update!);
    expect(row?.createdAt).toEqual(update?.createdAt);
    await odd.end();
    const inZone = new Pool({ connectionString, options });
    expect(await new PostgresStatusStore(inZone).get(update!)).toEqual(row);
    await inZone.end();
  });
});

describe('one table, two ways to it', () => {
  test('what one store writes the other reads, to the last field', async () => {
    // A real project's database is not the one of these tests.
    if (inject('parts').isRealProject) return;
    const stores = [new PostgresStatusStore(pool), new SupabaseStatusStore(supabaseClient())];
    for (const [at, writer] of stores.entries()) {
      for (const snapshot of new JobHistory({ queue: 'both', id: `${at}` })
        .start()
        .progress()
        .fail(1, 50).snapshots) {
        await writer.write([snapshot]);
      }
      const [a, b] = await Promise.all(
        stores.map((store) => store.get({ queue: 'both', jobId: `${at}` })),
      );
      expect(a).toBeDefined();
      expect(a).toEqual(b);
    }
  });
});

describe('what went wrong is told apart', () => {
  test('no such table: not set up, with what to run', async () => {
    const store = new PostgresStatusStore(pool, { table: "no where's" });
    const message = expect.stringContaining(
      "Run `npx bullmq-job-status migrate --database-url <url> --table 'no where'\\''s'`",
    );
    for (const request of [() => store.write(completed('1')), () => store.list()]) {
      await expect(request()).rejects.toMatchObject({ code: 'ERR_STORE_SETUP', message });
    }
  });

  test('nobody at the address: unavailable, and the cause is kept', async () => {
    const nobody = new Pool({ host: '127.0.0.1', port: await getPort() });
    await expect(new PostgresStatusStore(nobody).write(completed('1'))).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      cause: { code: 'ECONNREFUSED' },
    });
    await nobody.end();
  });

  test('a constraint of your own: refused, and what it says holds nothing of the row', async () => {
    await pool.query(migrationSql({ table: 'strict' }));
    await pool.query(
      "alter table strict drop constraint if exists own, add constraint own check (name <> 's3cret')",
    );
    const [update] = completed('1');
    const refused = await new PostgresStatusStore(pool, { table: 'strict' })
      .write([{ ...update!, name: 's3cret' }])
      .catch((error: JobStatusError) => error);
    expect(refused).toMatchObject({
      code: 'ERR_STORE_REFUSED',
      cause: { code: '23514', detail: expect.stringContaining('s3cret') },
    });
    expect(inspect(refused)).not.toContain('s3cret');
  });

  test('an id too long for its index: refused', async () => {
    const long = Array.from({ length: 10_000 }, () => Math.random().toString(36)[2]).join('');
    await expect(new PostgresStatusStore(pool).write(completed(long))).rejects.toMatchObject({
      code: 'ERR_STORE_REFUSED',
    });
  });
});

test('migrate runs on a pool, by as many at once as it has connections', async () => {
  const names = { schema: 'twenty at once', table: 'jobs' };
  await Promise.all(Array.from({ length: 20 }, () => migrate(pool, names)));
  const store = new PostgresStatusStore(pool, names);
  await store.write(completed('1'));
  expect(await store.count()).toBe(1);
});

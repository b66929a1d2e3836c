import { PGlite } from '@electric-sql/pglite';
import { checkSchema, migrate } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pgliteClient } from '../support/databases.ts';
import { JobHistory } from '../../src/testing/histories.ts';

const [, completed] = new JobHistory().start().complete().snapshots;

let db: PGlite;

beforeAll(async () => {
  db = await PGlite.create();
});

afterAll(() => db.close());

describe('PGlite, in this process', () => {
  test('migrates, again and by twenty at once, and keeps rows', async () => {
    const client = pgliteClient(db);
    await Promise.all(Array.from({ length: 20 }, () => migrate(client)));
    const store = new PostgresStatusStore(client);
    await store.write([completed!]);
    expect(await store.get(completed!)).toMatchObject({
      status: 'completed',
      result: { ok: true },
    });
    await migrate(client);
    expect(await store.count({ status: 'completed' })).toBe(1);
  });

  test('is a client as it is, but for text of many statements, such as the check sends', async () => {
    const names = { table: 'as_it_is' };
    await migrate(db, names);
    await expect(checkSchema(db, names)).rejects.toMatchObject({
      code: '42601',
    });
    expect(await checkSchema(pgliteClient(db), names)).toMatchObject({ differences: [] });
    const store = new PostgresStatusStore(db, names);
    await store.write([completed!]);
    expect((await store.list({ status: ['completed', 'failed'] })).items).toHaveLength(1);
  });

  test('a migration that fails half way leaves nothing', async () => {
    const client = pgliteClient(db);
    await expect(
      client.query('create table half (id integer); select 1 / 0; create table whole ()'),
    ).rejects.toMatchObject({ code: '22012' });
    expect((await client.query("select to_regclass('half') as half")).rows).toEqual([
      { half: null },
    ]);
  });

  test('what it refuses is told apart as on any Postgres', async () => {
    const missing = new PostgresStatusStore(pgliteClient(db), { table: 'nowhere' });
    await expect(missing.write([completed!])).rejects.toMatchObject({ code: 'ERR_STORE_SETUP' });
    const strict = { table: 'strict' };
    await migrate(pgliteClient(db), strict);
    await db.exec("alter table strict add constraint own check (name <> 'export')");
    await expect(
      new PostgresStatusStore(pgliteClient(db), strict).write([completed!]),
    ).rejects.toMatchObject({ code: 'ERR_STORE_REFUSED', cause: { code: '23514' } });
  });
});

import { PGlite } from '@electric-sql/pglite';
import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { inject } from 'vitest';
import { createDatabase } from '../parts/index.ts';

/** The one method of a database's client that tests, the store and `migrate` need. */
export interface SqlClient {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** An empty database in which a test may do what it likes. */
export interface TestDatabase extends SqlClient, AsyncDisposable {}

/** PGlite as a client of the store and of `migrate`, to the letter as the README shows it. */
export function pgliteClient(db: PGlite) {
  return {
    query: async (text: string, values?: unknown[]) =>
      values ? db.query(text, values) : (await db.exec(text)).at(-1)!,
  };
}

/** Every Postgres that the SQL must hold on. */
export const DATABASES: Readonly<Record<string, () => Promise<TestDatabase>>> = {
  Postgres: () => newDatabase(inject('parts').connectionString),
  'Postgres 15': () => newDatabase(inject('parts').postgres15.connectionString),
  PGlite: async () => {
    const db = await PGlite.create();
    return { ...pgliteClient(db), [Symbol.asyncDispose]: () => db.close() };
  },
};

async function newDatabase(server: string): Promise<TestDatabase> {
  const connectionString = await createDatabase(server, `test_${randomUUID().slice(0, 8)}`);
  // One connection, so that what a test sets in its session stays.
  const pool = new Pool({ connectionString, max: 1 });
  return {
    query: (text, values) => pool.query(text, values),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

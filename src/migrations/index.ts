import type { TableOptions } from './names.ts';
import { schemaSql } from './schema.ts';

export type { TableOptions } from './names.ts';

/** The one method of `pg.Pool` and `pg.Client` that `migrate` needs. */
export interface MigrationClient {
  query(text: string): Promise<unknown>;
}

/**
 * The SQL of everything the Postgres and Supabase stores need: table, constraint, indexes, the merge
 * function, and who may use them. Safe to run again. For Supabase, save it as a file in
 * `supabase/migrations`.
 *
 * @throws {InvalidArgumentError} where a name is empty, too long, or holds `U+0000`
 */
export function migrationSql(options?: TableOptions): string {
  return schemaSql(options);
}

/**
 * Runs `migrationSql` on a database, all or nothing. Any number of processes may do so at once: each
 * waits for the one before it.
 *
 * @param client a `pg.Pool` or `pg.Client` of a role that may create tables
 */
export async function migrate(client: MigrationClient, options?: TableOptions): Promise<void> {
  // Statements that come in one text are one transaction.
  await client.query(migrationSql(options));
}

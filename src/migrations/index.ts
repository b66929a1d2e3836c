import { migrationSql, type MigrationOptions } from './script.ts';

export { checkSchema, type SchemaReport } from './check.ts';
export type { TableOptions } from './names.ts';
export { migrationSql, type MigrationOptions };

/** The one method of `pg.Pool` and `pg.Client` that `migrate` needs. */
export interface MigrationClient {
  query(text: string): Promise<unknown>;
}

/**
 * Runs `migrationSql` on a database, all or nothing. Any number of processes may do so at once: each
 * waits for the one before it.
 *
 * @param client a `pg.Pool` or `pg.Client` of a role that may create tables in the schema, and the schema where it
 *   is missing; to upgrade, the role that owns the table
 */
export async function migrate(client: MigrationClient, options?: MigrationOptions): Promise<void> {
  await client.query(migrationSql(options));
}

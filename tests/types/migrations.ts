import pg from 'pg';
import { migrate, migrationSql } from 'bullmq-job-status/migrations';
import { holds, some, type Same } from './expect-type.ts';

holds<Same<ReturnType<typeof migrationSql>, string>>();
holds<Same<ReturnType<typeof migrate>, Promise<void>>>();

/* Everything of pg's that runs a query. */

void migrate(new pg.Pool());
void migrate(new pg.Client());
void migrate(some<pg.PoolClient>(), { schema: 'jobs' });

/* And of others', by the one method there is. */

void migrate({ query: async (text: string) => text.length });
migrationSql({ schema: undefined, table: 'status' });

// @ts-expect-error a connection string is no client
void migrate('postgres://localhost');
// @ts-expect-error a misspelt option
migrationSql({ shema: 'jobs' });

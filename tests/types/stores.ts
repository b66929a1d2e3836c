import type { PGlite } from '@electric-sql/pglite';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import {
  MemoryStatusStore,
  type JobStatus,
  type JsonValue,
  type StatusStore,
  type StatusUpdate,
} from 'bullmq-job-status';
import { migrate, type MigrationClient } from 'bullmq-job-status/migrations';
import { PostgresStatusStore, type PostgresClientLike } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import pg from 'pg';
import { holds, some, type IsAny, type Same } from './expect-type.ts';
import type { Database, DatabaseWithoutTable } from './supabase-database.ts';

/* Every client that `createClient` makes is one for the store. */

const [url, key] = ['http://localhost', 'sb_secret_example'];
new SupabaseStatusStore(createClient(url, key));
new SupabaseStatusStore(createClient<Database>(url, key));
new SupabaseStatusStore(createClient<DatabaseWithoutTable>(url, key));
new SupabaseStatusStore(createClient<Database, 'jobs'>(url, key, { db: { schema: 'jobs' } }));
new SupabaseStatusStore(createClient(url, key, { db: { schema: 'jobs' } }));
new SupabaseStatusStore(some<SupabaseClient>());
new SupabaseStatusStore(some<SupabaseClient<Database>>(), { schema: 'jobs', table: 'status' });
new SupabaseStatusStore(createClient(url, key), { schema: undefined });

// @ts-expect-error a misspelt option
new SupabaseStatusStore(createClient(url, key), { tabel: 'status' });
// @ts-expect-error the URL is no client
new SupabaseStatusStore(url);

/* So is everything of pg's that runs a query, and of others' that has its one method. */

new PostgresStatusStore(new pg.Pool());
new PostgresStatusStore(new pg.Client(), { schema: 'jobs', table: undefined });
new PostgresStatusStore(some<pg.PoolClient>());
new PostgresStatusStore({
  query: async (text: string, values: unknown[]) => ({ rows: [text, values] }),
});

/* PGlite fits as it is, but for text of many statements, such as `checkSchema` sends: that takes two lines. */

const db = some<PGlite>();
const client = {
  query: async (text: string, values?: unknown[]) =>
    values ? db.query(text, values) : (await db.exec(text)).at(-1)!,
};
client satisfies PostgresClientLike;
client satisfies MigrationClient;
new PostgresStatusStore(client);
new PostgresStatusStore(db);
void migrate(client);
void migrate(new pg.Pool());

// @ts-expect-error a connection string is no client
new PostgresStatusStore('postgres://localhost');
// @ts-expect-error a misspelt option
new PostgresStatusStore(new pg.Pool(), { tabel: 'status' });

/* All are stores, and their rows are typed through and through. */

holds<SupabaseStatusStore extends StatusStore ? true : false>();
holds<PostgresStatusStore extends StatusStore ? true : false>();
holds<MemoryStatusStore extends StatusStore ? true : false>();
holds<Same<Awaited<ReturnType<SupabaseStatusStore['get']>>, JobStatus | undefined>>();

/** The members of a type that are `any`. */
type Untyped<T> = {
  [member in keyof T]-?: IsAny<T[member]> extends true ? member : never;
}[keyof T];
holds<Same<Untyped<JobStatus>, never>>();
holds<Same<Untyped<StatusUpdate>, never>>();
holds<Same<Untyped<SupabaseStatusStore>, never>>();
holds<Same<Untyped<PostgresStatusStore>, never>>();
holds<Same<Untyped<MemoryStatusStore>, never>>();
holds<Same<Untyped<StatusStore>, never>>();

const row = some<JobStatus>();
holds<Same<typeof row.result, JsonValue>>();
holds<Same<typeof row.completedAt, Date | null>>();
// @ts-expect-error a row is read, not edited
row.status = 'completed';
// @ts-expect-error `progress` may be any JSON value: look before you add
row.progress + 1;

/* The least store that a program may bring. */

const rows = new Map<string, JobStatus>();
({
  async write(updates) {
    holds<Same<typeof updates, readonly StatusUpdate[]>>();
  },
  async get({ jobId }) {
    return rows.get(jobId);
  },
}) satisfies StatusStore;

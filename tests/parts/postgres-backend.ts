import { createPostgresBackend, withBackend } from 'bullmq';
import type { BackendClasses, PostgresConnectionOptions, PostgresQueueBackend } from 'bullmq';

/** BullMQ's classes, kept on Postgres, and the connection option that each of them takes. */
export interface PostgresBackend extends BackendClasses<
  PostgresQueueBackend,
  PostgresConnectionOptions
> {
  readonly connection: { readonly connectionString: string; readonly migrate: true };
}

/**
 * BullMQ 6 on Postgres instead of Redis: `new Queue(name, { connection })` and so on, with `Queue`,
 * `Worker` and `connection` from here. Its tables are made at the first connection.
 */
export function postgresBackend(connectionString: string): PostgresBackend {
  return {
    ...withBackend(createPostgresBackend),
    connection: { connectionString, migrate: true },
  };
}

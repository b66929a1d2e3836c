import { Queue, Worker, type ConnectionOptions } from 'bullmq';
import { migrationSql } from 'bullmq-job-status/migrations';
import {
  findRedis,
  postgresBackend,
  startPostgres,
  startRedis,
  startSupabaseApi,
  type PostgresPart,
  type SupabasePart,
} from '../../tests/parts/index.ts';

/** Where BullMQ keeps the queues: its classes, and what each `new` of them takes. */
export interface QueueHome {
  readonly Queue: typeof Queue;
  readonly Worker: typeof Worker;
  readonly options: { readonly connection: ConnectionOptions; readonly prefix?: string };
}

/** What the demo runs on: all real, all started by itself, all gone when it ends. */
export interface Services extends QueueHome, AsyncDisposable {
  readonly postgres: PostgresPart;
  readonly api: SupabasePart;
}

/** Starts everything, and says so in a line for each. */
export async function startServices(say: (line: string) => void): Promise<Services> {
  // Rows of a demo have no place in a database of yours, so these are not looked at.
  for (const name of ['DATABASE_URL', 'SUPABASE_URL']) delete process.env[name];

  // Whatever has been started is stopped again, should the next one fail.
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await startPostgres());
  say(`PostgreSQL ${postgres.version}, from npm, on port ${postgres.port}`);

  const { connectionString } = postgres;
  const api = stack.use(await startSupabaseApi({ connectionString, sql: migrationSql() }));
  say(`Supabase-compatible API on it, ${api.url}, with job_status`);

  const home = (await redisHome(stack, say)) ?? (await postgresHome(postgres, say));
  const running = stack.move();
  return { postgres, api, ...home, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Redis, where there is one; a demo installs nothing. */
async function redisHome(
  stack: AsyncDisposableStack,
  say: (line: string) => void,
): Promise<QueueHome | undefined> {
  const isGiven = Boolean(process.env['REDIS_URL']);
  if (!isGiven && !(await findRedis())) return undefined;
  const { version, connection } = stack.use(await startRedis({ install: false }));
  say(`BullMQ on ${version}, ${isGiven ? 'the one of REDIS_URL' : `on port ${connection.port}`}`);
  // Somebody else's Redis may hold queues of the same names.
  const options = isGiven ? { connection, prefix: `demo-${process.pid}` } : { connection };
  return { Queue, Worker, options };
}

/** No Redis: BullMQ 6 can keep its queues in Postgres as well, here in a database beside the rows. */
async function postgresHome(
  postgres: PostgresPart,
  say: (line: string) => void,
): Promise<QueueHome> {
  const backend = postgresBackend(await postgres.createDatabase('queues'));
  say('BullMQ on its Postgres backend, as there is no Redis here, nor REDIS_URL');
  // The same classes with another backend behind them; only their type arguments differ.
  const classes = backend as unknown as Pick<QueueHome, 'Queue' | 'Worker'>;
  return { ...classes, options: { connection: backend.connection } };
}

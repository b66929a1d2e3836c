import { migrationSql } from 'bullmq-job-status/migrations';
import type { TestProject } from 'vitest/node';
import { runSql, startParts, startPostgres, type RedisConnection } from '../parts/index.ts';
import { TABLES } from './tables.ts';

/** Where the parts are that all integration and conformance tests share; each uses queues of its own. */
export interface PartsAddress {
  readonly redis: RedisConnection;
  readonly connectionString: string;
  /** The server's log; undefined where it is not ours (`DATABASE_URL`). */
  readonly logFile: string | undefined;
  /** Postgres 15, the oldest that is promised, with a table of its own. */
  readonly postgres15: { readonly connectionString: string; readonly logFile: string | undefined };
  readonly supabaseUrl: string;
  readonly secretKey: string;
  readonly publishableKey: string;
  /** Whether the API is that of a real project (`SUPABASE_URL`), whose database `connectionString` is not. */
  readonly isRealProject: boolean;
}

declare module 'vitest' {
  interface ProvidedContext {
    parts: PartsAddress;
  }
}

export default async function startSharedParts({
  provide,
}: TestProject): Promise<() => Promise<void>> {
  const sql = TABLES.map((table) => migrationSql({ table })).join('\n');
  const [parts, postgres15] = await Promise.all([
    startParts({ sql }),
    startPostgres({ version: 15 }),
  ]);
  await runSql(postgres15.connectionString, sql);
  const { redis, postgres, supabase } = parts;
  provide('parts', {
    redis: redis.connection,
    connectionString: postgres.connectionString,
    logFile: postgres.logFile,
    postgres15: {
      connectionString: postgres15.connectionString,
      logFile: postgres15.logFile,
    },
    supabaseUrl: supabase.url,
    secretKey: supabase.secretKey,
    publishableKey: supabase.publishableKey,
    isRealProject: supabase.pid === undefined,
  });
  return async () => {
    await Promise.all([parts.stop(), postgres15.stop()]);
  };
}

import { migrationSql } from 'bullmq-job-status/migrations';
import type { TestProject } from 'vitest/node';
import { startParts, type RedisConnection } from '../parts/index.ts';

/** Where the parts are that all integration and conformance tests share; each uses queues of its own. */
export interface PartsAddress {
  readonly redis: RedisConnection;
  readonly connectionString: string;
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
  const { redis, postgres, supabase, stop } = await startParts({ sql: migrationSql() });
  provide('parts', {
    redis: redis.connection,
    connectionString: postgres.connectionString,
    supabaseUrl: supabase.url,
    secretKey: supabase.secretKey,
    publishableKey: supabase.publishableKey,
    isRealProject: supabase.pid === undefined,
  });
  return stop;
}

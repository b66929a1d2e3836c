// The real parts that tests, the demo and the benchmark run on. Each starts by itself on a free
// loopback port and ends with the process that started it, however that ends.

import { startPostgres } from './postgres.ts';
import type { PostgresPart, StartPostgresOptions } from './postgres.ts';
import { startRedis } from './redis.ts';
import type { RedisPart, StartRedisOptions } from './redis.ts';
import { startSupabaseApi } from './supabase.ts';
import type { StartSupabaseOptions, SupabasePart } from './supabase.ts';

export { postgresBackend } from './postgres-backend.ts';
export { createDatabase, runSql, startPostgres } from './postgres.ts';
export type { PostgresPart, StartPostgresOptions } from './postgres.ts';
export { findRedis, startRedis } from './redis.ts';
export type { RedisConnection, RedisPart, StartRedisOptions } from './redis.ts';
export { startSupabaseApi } from './supabase.ts';
export type { StartSupabaseOptions, SupabasePart } from './supabase.ts';
export { onFreePort, supervise } from './supervise.ts';
export type { Supervised, SuperviseOptions } from './supervise.ts';

export interface Parts extends AsyncDisposable {
  readonly redis: RedisPart;
  readonly postgres: PostgresPart;
  readonly supabase: SupabasePart;
  /** Stops all of them. Safe to call again. */
  stop(this: void): Promise<void>;
}

export interface StartPartsOptions {
  /** The migration to run before the API starts. */
  readonly sql: string;
  /** Schemas that the API serves. @default ['public'] */
  readonly schemas?: StartSupabaseOptions['schemas'];
  readonly redis?: StartRedisOptions | undefined;
  readonly postgres?: StartPostgresOptions | undefined;
}

/** Starts Redis, Postgres and the API on it, as much at once as can be; all of them or none. */
export async function startParts(options: StartPartsOptions): Promise<Parts> {
  const { sql, schemas } = options;
  const started: AsyncDisposable[] = [];
  const keep = <T extends AsyncDisposable>(part: T): T => {
    started.push(part);
    return part;
  };
  const stop = async (): Promise<void> => {
    // The API before the database below it.
    for (const part of started.toReversed()) await part[Symbol.asyncDispose]();
  };
  const results = await Promise.allSettled([
    startRedis(options.redis).then(keep),
    startPostgres(options.postgres).then(async (part) => {
      const postgres = keep(part);
      const { connectionString } = postgres;
      return {
        postgres,
        supabase: keep(await startSupabaseApi({ connectionString, sql, schemas })),
      };
    }),
  ]);
  const [redis, database] = results;
  if (redis.status === 'fulfilled' && database.status === 'fulfilled') {
    return { redis: redis.value, ...database.value, stop, [Symbol.asyncDispose]: stop };
  }
  await stop();
  throw results.find((result) => result.status === 'rejected')?.reason;
}

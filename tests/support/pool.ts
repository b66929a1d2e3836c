import { Pool, type PoolConfig } from 'pg';

/**
 * A pool on a server that the test stops. Its `end` does not wait for connections to be closed, so a
 * server that stops right after it may still tell them, as an event that nobody else listens to.
 */
export function openPool(connectionString: string, config: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString, ...config });
  pool.on('error', () => {});
  return pool;
}

import { inject } from 'vitest';

/** The tests' Redis, as programs are told of it. */
export function redisUrl(): string {
  const { host, port, username = '', password, db, tls } = inject('parts').redis;
  const url = new URL(`${tls === undefined ? 'redis' : 'rediss'}://${host}:${port}`);
  url.username = username;
  url.password = password ?? '';
  if (db !== undefined) url.pathname = `/${db}`;
  return url.href;
}

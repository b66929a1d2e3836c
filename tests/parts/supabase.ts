import { createHmac, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { runSql } from './postgres.ts';
import type { ApiTask } from './supabase-api.ts';
import { newTempDir, supervise } from './supervise.ts';

/**
 * A Supabase-compatible API: `@supabase/lite` on a real Postgres, in a process of its own. A
 * stand-in for Supabase, checked against PostgREST's own tests; the real thing takes its place where
 * `SUPABASE_URL` and `SUPABASE_SECRET_KEY` are set.
 */
export interface SupabasePart extends AsyncDisposable {
  readonly url: string;
  /** Key of `service_role`. */
  readonly secretKey: string;
  /** Key of `anon`, or of the user whose token comes with it. */
  readonly publishableKey: string;
  /** Process id of the server; undefined where it is a real project. */
  readonly pid: number | undefined;
  /** HTTP requests served at `rest/v1` so far. Rejects for a real project, which doesn't tell. */
  requests(): Promise<number>;
  /** Makes it see tables and functions made since it started. Does nothing for a real project. */
  reloadSchema(): Promise<void>;
  /**
   * A token of a user who is signed in, good for an hour unless `exp` says otherwise. A real
   * project's needs `SUPABASE_JWT_SECRET`.
   *
   * @param claims - Take the place of the usual ones (`sub`, `role`, `exp` and so on).
   * @param secret - What to sign with; any other than the project's own forges the token.
   */
  signedInToken(claims?: Readonly<Record<string, unknown>>, secret?: string): string;
  /** Stops it where it is ours. Safe to call again. */
  stop(this: void): Promise<void>;
}

export interface StartSupabaseOptions {
  /** The database to serve. Its roles are made as a Supabase project has them. */
  readonly connectionString: string;
  /** The migration, run once before this resolves. */
  readonly sql: string;
  /** Schemas that the API serves. @default ['public'] */
  readonly schemas?: readonly string[] | undefined;
}

export async function startSupabaseApi(options: StartSupabaseOptions): Promise<SupabasePart> {
  const project = realProject();
  if (project) return project;

  const { connectionString, sql, schemas = ['public'] } = options;
  const roles = await readFile(new URL('supabase-roles.sql', import.meta.url), 'utf8');
  await runSql(connectionString, roles);

  const task: ApiTask = {
    connectionString,
    schemas,
    secretKey: `sb_secret_${randomUUID()}`,
    publishableKey: `sb_publishable_${randomUUID()}`,
    jwtSecret: randomUUID(),
  };
  const { secretKey, publishableKey, jwtSecret } = task;
  const listening = /^API listens on port (\d+)\.$/m;
  const server = await supervise(process.execPath, [apiFile()], {
    tempDir: newTempDir('supabase'),
    // A test runner's NODE_OPTIONS are not the API's.
    env: { ...process.env, NODE_OPTIONS: '', SUPABASE_API_TASK: JSON.stringify(task) },
    ready: listening,
  });
  try {
    const [, port] = listening.exec(await readFile(server.logFile, 'utf8')) ?? [];
    const url = `http://127.0.0.1:${port}`;
    const reloadSchema = async (): Promise<void> => void (await ask(`${url}/parts/reload`));
    // The API's start has made the auth schema, which a migration's policies call.
    await runSql(
      connectionString,
      'grant usage on schema auth to anon, authenticated, service_role',
    );
    await runSql(connectionString, sql);
    await reloadSchema();
    return {
      url,
      secretKey,
      publishableKey,
      pid: server.pid,
      requests: async () => Number(await ask(`${url}/parts/requests`)),
      reloadSchema,
      signedInToken: (claims, secret = jwtSecret) => signToken(claims, secret),
      stop: server.stop,
      [Symbol.asyncDispose]: server.stop,
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function apiFile(): string {
  return fileURLToPath(new URL('supabase-api.ts', import.meta.url));
}

/** The project that the environment points to, if it does. */
function realProject(): SupabasePart | undefined {
  const { SUPABASE_URL: url, SUPABASE_SECRET_KEY: secretKey } = process.env;
  if (!url || !secretKey) return undefined;
  const stop = async (): Promise<void> => {};
  return {
    url,
    secretKey,
    publishableKey: process.env['SUPABASE_PUBLISHABLE_KEY'] ?? '',
    pid: undefined,
    requests: () =>
      Promise.reject(new Error("A real Supabase project's requests can't be counted.")),
    reloadSchema: stop,
    signedInToken: (claims, secret = process.env['SUPABASE_JWT_SECRET']) => {
      if (!secret) throw new Error('Set SUPABASE_JWT_SECRET to make tokens for a real project.');
      return signToken(claims, secret);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function ask(url: string): Promise<unknown> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.json();
}

/** A JWT as Supabase's auth server signs it (HS256). */
function signToken(claims: Readonly<Record<string, unknown>> = {}, secret: string): string {
  const now = Math.floor(Date.now() / 1_000);
  const usual = { role: 'authenticated', aud: 'authenticated', iat: now, exp: now + 3_600 };
  const payload = { sub: randomUUID(), ...usual, ...claims };
  const body = [{ alg: 'HS256', typ: 'JWT' }, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

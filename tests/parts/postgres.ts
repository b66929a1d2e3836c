import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { findPostgres, type PostgresVersion } from './postgres-binaries.ts';
import { newTempDir, onFreePort, supervise } from './supervise.ts';

/** A real Postgres with an empty database. */
export interface PostgresPart extends AsyncDisposable {
  readonly connectionString: string;
  readonly port: number;
  /** Such as `18.4`. */
  readonly version: string;
  /** Process id of the server; undefined where it is not ours (`DATABASE_URL`). */
  readonly pid: number | undefined;
  /** Where the server logs to; undefined where it is not ours. */
  readonly logFile: string | undefined;
  /** All that the server has logged. Rejects where the server is not ours. */
  logText(): Promise<string>;
  /** How often the server's log matches, such as constraints violated. Rejects as `logText` does. */
  countInLog(pattern: RegExp): Promise<number>;
  /**
   * Makes an empty database beside the first and returns its connection string. On a server that is
   * not ours the name gets a random ending, as an earlier run may have left one behind.
   */
  createDatabase(name: string): Promise<string>;
  /** Stops it where it is ours. Safe to call again. */
  stop(this: void): Promise<void>;
}

export interface StartPostgresOptions {
  /** Folder of binaries, such as `/usr/lib/postgresql/16/bin`. @default those from npm */
  readonly bin?: string | undefined;
  /** Which of npm's, whatever the environment names. @default the newest */
  readonly version?: PostgresVersion | undefined;
  /** Server settings, as in `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/**
 * A Postgres: the one `DATABASE_URL` names, used as it is and never stopped; else one of our own on
 * loopback, from `bin` or `POSTGRES_BIN` where set, else from the binaries npm installed. Where `bin` or
 * `version` is given, it is always one of our own, of just these.
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<PostgresPart> {
  const given = process.env['DATABASE_URL'];
  if (given && !options.bin && !options.version) return external(given);

  const { bin, uid } = await findPostgres(options);
  const server = await onFreePort(async (port) => {
    const tempDir = newTempDir('postgres');
    const data = join(tempDir, 'data');
    const running = await supervise(join(bin, 'postgres'), serverArguments(data, port, options), {
      tempDir,
      uid,
      before: [[join(bin, 'initdb'), initArguments(data)]],
      // Postgres' "fast" shutdown; on SIGTERM it would wait for its clients to leave.
      stopSignal: 'SIGINT',
      // From its own log: only this says that the port is ours.
      ready: /database system is ready to accept connections/,
    });
    return { ...running, port };
  });
  // Nobody asks for the password: it is there so that tests see where it turns up.
  const connectionString = `postgresql://postgres:${randomUUID()}@127.0.0.1:${server.port}/postgres`;
  try {
    const logText = (): Promise<string> => readFile(server.logFile, 'utf8');
    return {
      connectionString,
      port: server.port,
      version: await askVersion(connectionString),
      pid: server.pid,
      logFile: server.logFile,
      logText,
      countInLog: async (pattern) => countMatches(await logText(), pattern),
      createDatabase: (name) => createDatabase(connectionString, name),
      stop: server.stop,
      [Symbol.asyncDispose]: server.stop,
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function initArguments(data: string): string[] {
  const locale = ['--encoding=UTF8', '--locale=C'];
  // Anybody on this machine may come in: the cluster holds nothing and lives for minutes.
  const access = ['--username=postgres', '--auth=trust'];
  return ['--pgdata', data, ...locale, ...access, '--no-sync', '--no-instructions'];
}

function serverArguments(data: string, port: number, options: StartPostgresOptions): string[] {
  // `fsync`, `synchronous_commit` and `full_page_writes` are left on, their default, so that what is
  // measured here is what a database that keeps its promises can do.
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    // With the database, so that tests that share a server can tell their faults from others'.
    log_line_prefix: '%m [%p] %d ',
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', data, ...flags];
}

/** A server that runs already, of which we know nothing but its address. */
async function external(connectionString: string): Promise<PostgresPart> {
  const noLog = (): Promise<never> =>
    Promise.reject(new Error("The log of DATABASE_URL's server can't be read from here."));
  const stop = async (): Promise<void> => {};
  return {
    connectionString,
    port: Number(new URL(connectionString).port || 5432),
    version: await askVersion(connectionString),
    pid: undefined,
    logFile: undefined,
    logText: noLog,
    countInLog: noLog,
    createDatabase: (name) =>
      createDatabase(connectionString, `${name}_${randomUUID().slice(0, 8)}`),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function askVersion(connectionString: string): Promise<string> {
  const [row] = await runSql(connectionString, 'show server_version');
  // Debian's own adds its package version in brackets.
  return String(row?.['server_version']).replace(/ .*/, '');
}

/** An empty database on the server of another; resolves with its connection string. */
export async function createDatabase(connectionString: string, name: string): Promise<string> {
  await runSql(connectionString, `create database "${name.replaceAll('"', '""')}"`);
  const url = new URL(connectionString);
  url.pathname = `/${encodeURIComponent(name)}`;
  return url.href;
}

function countMatches(text: string, pattern: RegExp): number {
  const flags = pattern.flags.includes('g') ? pattern.flags : `${pattern.flags}g`;
  return [...text.matchAll(new RegExp(pattern.source, flags))].length;
}

/** Runs SQL, which may be many statements, on a connection of its own; returns the last's rows. */
export async function runSql(
  connectionString: string,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const results: unknown = await client.query(sql);
    const last = Array.isArray(results) ? results.at(-1) : results;
    return (last as { rows: Record<string, unknown>[] }).rows;
  } finally {
    await client.end();
  }
}

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { codeOf, messageOf } from '../errors.ts';
import type { DatabaseFlags } from './options.ts';

/** What is used of `pg.Client`. */
export interface DatabaseClient {
  connect(): Promise<unknown>;
  query(text: string): Promise<unknown>;
  end(): Promise<void>;
  on(event: 'error', listener: () => void): unknown;
}

interface Pg {
  readonly Client: new (config: {
    readonly connectionString: string;
    readonly connectionTimeoutMillis: number;
    readonly application_name: string;
  }) => DatabaseClient;
}

interface Address {
  readonly url: string;
  /** Where it was given, for errors: they never show the URL itself, which holds a password. */
  readonly source: string;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Runs something on a connection of its own to the database that the flags or the environment name. */
export async function withDatabase<Result>(
  flags: DatabaseFlags,
  use: (client: DatabaseClient) => Promise<Result>,
): Promise<Result> {
  const address = databaseAddress(flags);
  const client = await connect(await loadPg(), address);
  try {
    return await use(client);
  } catch (error) {
    const { hint, detail } = error as { hint?: unknown; detail?: unknown };
    // What depends on a column, by name; other details may quote a row.
    const dependents = ['0A000', '2BP01'].includes(codeOf(error)) ? [detail] : [];
    const lines = [messageOf(error), ...dependents, hint].filter(
      (line) => typeof line === 'string',
    );
    throw new Error(lines.join('\n'), { cause: error });
  } finally {
    await client.end();
  }
}

function databaseAddress({ databaseUrl }: DatabaseFlags): Address {
  // An empty flag is a variable that a script forgot to set: not to be read as "the default one".
  const url = databaseUrl ?? process.env['DATABASE_URL'] ?? '';
  const source = databaseUrl === undefined ? 'DATABASE_URL' : '--database-url';
  if (url === '') {
    throw new Error(
      databaseUrl === undefined
        ? 'No database given: set DATABASE_URL, or add --database-url <url>'
        : '--database-url is empty',
    );
  }
  // A "/", "?" or "#" in a password ends the part that it belongs to, and what follows would be taken
  // for a host: an "@" behind it gives that away.
  if (!/^postgres(?:ql)?:\/\/[^/?#]*(?:[/?][^@#]*)?$/.test(url)) {
    throw new Error(
      `${source} is no connection string like postgres://user:password@host:port/database. ` +
        'Special characters in a password are written as % and two digits: # as %23, / as %2F, ? as %3F, @ as %40',
    );
  }
  return { url, source };
}

/**
 * The `pg` of the project that the command is run in, else the one beside this package: npx may run it
 * from a cache that has none.
 */
async function loadPg(): Promise<Pg> {
  const places = [join(process.cwd(), 'package.json'), fileURLToPath(import.meta.url)];
  for (const place of places) {
    const path = resolveFrom(place);
    if (path === undefined) continue;
    const module = (await import(pathToFileURL(path).href)) as { default: Pg };
    return module.default;
  }
  throw new Error('This command needs the package pg, which is not installed: npm install pg');
}

function resolveFrom(place: string): string | undefined {
  try {
    return createRequire(place).resolve('pg');
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

async function connect(pg: Pg, { url, source }: Address): Promise<DatabaseClient> {
  let client: DatabaseClient | undefined;
  try {
    client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'bullmq-job-status',
    });
    // A connection that breaks is told by the query under way; unheard, the event would end the process.
    client.on('error', () => {});
    await client.connect();
    return client;
  } catch (error) {
    // Not awaited: pg may leave a connection half open, which would hold the process, or never say it ended.
    client?.end().catch(() => {});
    throw new Error(
      `Can't connect to the database${placeOf(url)}: ${reasonOf(error)}. ` +
        `Check that it runs, and host, user, password and database in ${source}`,
      { cause: error },
    );
  }
}

/** Host and port. Where there is no user, what stands there might be one with a password. */
function placeOf(url: string): string {
  const { username, host } = URL.canParse(url) ? new URL(url) : { username: '', host: '' };
  return username === '' || host === '' ? '' : ` at ${host}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it broke the connection off',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'its host name could not be looked up',
};

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (Object.hasOwn(REASONS, code)) return `${REASONS[code]} (${code})`;
  // A system's own message names the host too; see `placeOf`.
  if (typeof error === 'object' && error !== null && ('syscall' in error || 'errors' in error))
    return code;
  const message = messageOf(error);
  return message === 'timeout expired'
    ? `no answer within ${CONNECT_TIMEOUT_MS / 1000} s`
    : message;
}

import { codeOf, messageOf } from '../errors.ts';
import {
  addressOf,
  CONNECT_TIMEOUT_MS,
  connectError,
  type Address,
  type AddressKind,
} from './address.ts';
import type { DatabaseFlags } from './options.ts';
import { loadPackage } from './packages.ts';

/** What is used of `pg.Client`. */
export interface DatabaseClient {
  connect(): Promise<unknown>;
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
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

/** Of Postgres, wherever one is named. */
export const POSTGRES = {
  schemes: ['postgres', 'postgresql'],
  example: 'postgres://user:password@host:port/database',
} as const;

const DATABASE: AddressKind = {
  ...POSTGRES,
  what: 'database',
  flag: '--database-url',
  variable: 'DATABASE_URL',
};

/** Runs something on a connection of its own to the database that the flags or the environment name. */
export async function withDatabase<Result>(
  flags: DatabaseFlags,
  use: (client: DatabaseClient) => Promise<Result>,
): Promise<Result> {
  const address = addressOf(flags.databaseUrl, DATABASE);
  const client = await connect(await loadPackage<Pg>('pg'), address);
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

async function connect(pg: Pg, address: Address): Promise<DatabaseClient> {
  let client: DatabaseClient | undefined;
  try {
    client = new pg.Client({
      connectionString: address.url,
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
    throw connectError('the database', address, error);
  }
}

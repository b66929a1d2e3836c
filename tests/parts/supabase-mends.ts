// Where @supabase/lite 0.10 differs from Supabase, made alike. Each of these is a difference that a
// store written for Supabase runs into; `parts.test.ts` holds every one of them.

import { uncover } from './supabase-filters.ts';

/** What postgres.js tells of an error that Postgres reported. */
interface PostgresError {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** The two methods of lite's connection that are replaced; its types hide the second. */
interface Mendable {
  normalizeDbError(error: unknown): unknown;
  ensureRlsContext(): Promise<boolean>;
}

/**
 * How postgres.js sends and reads some types:
 *
 * - jsonb (3802): lite has serialised an rpc's argument already; serialising it again would make
 *   a JSON string of the array. (A string given as a jsonb argument stays ambiguous: it is read as
 *   the JSON it holds. Give objects and arrays.)
 * - timestamptz (1184): lite passes Postgres' text on, PostgREST the ISO form that `to_json` gives.
 * - text (25), boolean (16): values of filters come as `supabase-filters.ts` writes them.
 */
export const postgresTypes = {
  text: { to: 25, from: [25], serialize: uncover, parse: (text: string): unknown => text },
  boolean: {
    to: 16,
    from: [16],
    serialize: (value: unknown) => (value === true || value === 'true' ? 't' : 'f'),
    parse: (text: string): unknown => text === 't',
  },
  jsonb: {
    to: 3802,
    from: [3802],
    serialize: (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value)),
    parse: (text: string): unknown => JSON.parse(text),
  },
  timestamptz: {
    to: 1184,
    from: [1184],
    serialize: (value: unknown) => (value instanceof Date ? value.toISOString() : value),
    // As text, never through a Date: microseconds and years past 9999 stay what they are. The
    // session's time zone is UTC.
    parse: (text: string) => text.replace(/^(\d+-\d\d-\d\d) ([\d:.]+)\+00/, '$1T$2+00:00'),
  },
};

export function mendConnection(connection: object): void {
  const mendable = connection as Mendable;
  mendable.normalizeDbError = (error) => asRaised(error);
  // At its first request lite looks whether any table has row level security, grants ALL on every
  // table of such a schema to `anon` and `authenticated` again, and if there is none yet, serves
  // everything as superuser for good. The roles here are made beforehand: there is nothing to do.
  mendable.ensureRlsContext = async () => true;
}

/**
 * Lite answers most SQLSTATEs with 500 and a code of its own. What it does pass on faithfully is an
 * error raised the PostgREST way, `raise sqlstate 'PGRST'` with the answer as JSON, so that is what
 * errors become here.
 */
function asRaised(error: unknown): unknown {
  const { name, code, message, detail, hint } = error as Partial<PostgresError>;
  if (code && /^(?:CONNECT|E[A-Z]{4})/.test(code)) {
    return raised(503, {
      code: 'PGRST001',
      message: 'Database connection error',
      details: message,
    });
  }
  if (name !== 'PostgresError' || !code || !message || isLitesOwn(code)) return error;
  return raised(httpStatus(code, message), { code, message, details: detail, hint });
}

/** These lite answers as PostgREST does; 401 or 403 for 42501 depends on the caller's role. */
function isLitesOwn(code: string): boolean {
  return code === '42501' || code.startsWith('PGRST') || code.startsWith('PT');
}

function raised(status: number, body: object): object {
  return {
    code: 'PGRST',
    message: JSON.stringify(body),
    detail: JSON.stringify({ status, headers: {} }),
  };
}

/** PostgREST's table of HTTP statuses by SQLSTATE, the longest prefix first. */
const STATUS_BY_PREFIX: readonly (readonly [prefix: string, status: number])[] = [
  ['23503', 409],
  ['23505', 409],
  ['25006', 405],
  ['42883', 404],
  ['42P01', 404],
  ['42P17', 500],
  ['53400', 500],
  ['57P01', 503],
  ['P0001', 400],
  ['08', 503],
  ['09', 500],
  ['0L', 403],
  ['0P', 403],
  ['25', 500],
  ['28', 403],
  ['2D', 500],
  ['38', 500],
  ['39', 500],
  ['3B', 500],
  ['40', 500],
  ['53', 503],
  ['54', 500],
  ['55', 500],
  ['57', 500],
  ['58', 500],
  ['F0', 500],
  ['HV', 500],
  ['P0', 500],
  ['XX', 500],
];

function httpStatus(code: string, message: string): number {
  // More than one row where one was expected, unless it is pg-safeupdate that complains.
  if (code === '21000') return message.endsWith('requires a WHERE clause') ? 400 : 500;
  return STATUS_BY_PREFIX.find(([prefix]) => code.startsWith(prefix))?.[1] ?? 400;
}

import { codeOf, JobStatusError, kindOf, messageOf, type JobStatusErrorCode } from '../errors.ts';
import { foldUpdates } from '../merge.ts';
import { tableNames, type TableNames, type TableOptions } from '../migrations/names.ts';
import { SCHEMA_VERSION } from '../migrations/version.ts';
import type { PruneOptions, StatusFilter, StatusPage, StatusQuery, StatusStore } from '../store.ts';
import type { JobKey, JobStatus, StatusUpdate } from '../types.ts';
import { unlike } from '../validate.ts';
import { PRUNE_STEP, pruneInSteps, resolvePrune } from './prune.ts';
import {
  resolveDeletion,
  resolveQuery,
  storedKey,
  toPage,
  type Place,
  type ResolvedFilter,
} from './query.ts';
import { fromRow, toRecord, type Row } from './row.ts';
import { tableFlags } from './setup.ts';
import { codeOfSqlState, isMissing } from './sqlstate.ts';

export type { TableOptions } from '../migrations/names.ts';

/**
 * The part of a supabase-js client that the store needs, so that any version, and a client typed by
 * your own database, will do.
 */
export interface SupabaseClientLike {
  // `never` as a parameter fits any: a typed client takes the names of its own database only.
  schema(name: never): { rpc(fn: never, args: never): unknown; from(table: never): unknown };
}

/**
 * Keeps rows in a Supabase table, through the project's API: one request for a whole batch.
 *
 * Give it a client with the project's secret (service role) key: nobody else may write the table.
 * Create the table once with `migrationSql()` of `bullmq-job-status/migrations`.
 *
 * @example
 * const supabase = createClient(process.env.SUPABASE_URL, process.env.SUPABASE_SECRET_KEY);
 * const store = new SupabaseStatusStore(supabase);
 */
export class SupabaseStatusStore implements StatusStore {
  readonly #client: SupabaseClientLike;
  readonly #names: TableNames;

  /**
   * @param client what supabase-js's `createClient` returned, of a project whose `max_rows` is 1,000 (its
   *   default) or more: with less, `list` would end early
   * @param options.schema the schema the table lies in; other than `public`, add it to the API's exposed schemas
   * @throws {InvalidArgumentError} where the client is none, a name is empty, too long, or holds `U+0000`
   */
  constructor(client: SupabaseClientLike, options?: TableOptions) {
    if (typeof (client as Partial<SupabaseClientLike> | undefined)?.schema !== 'function') {
      throw unlike('client', "what supabase-js's createClient returns", kindOf(client));
    }
    this.#names = tableNames(options);
    this.#client = client;
  }

  async write(
    updates: readonly StatusUpdate[],
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<void> {
    const records = foldUpdates(updates).map(toRecord);
    const request = this.#api().rpc(this.#names.writeFunction, {
      updates: records,
      schema_version: SCHEMA_VERSION,
    });
    const response = await (signal === undefined ? request : request.abortSignal(signal));
    // The function says how many rows it merged.
    this.#check(response, typeof response.data === 'number');
  }

  async get(key: JobKey): Promise<JobStatus | undefined> {
    const { queue, jobId } = storedKey(key);
    const query = this.#table().select('*').eq('queue', queue).eq('job_id', jobId);
    return this.#rows(await query)[0];
  }

  async list(query?: StatusQuery): Promise<StatusPage> {
    const { filter, limit, after, newest } = resolveQuery(query);
    let request = where(this.#table().select('*'), filter);
    if (newest !== undefined) request = request.lte('created_at', newest.toISOString());
    if (after !== undefined) request = request.or(isAfter(after));
    for (const column of ['created_at', 'queue', 'job_id']) {
      request = request.order(column, { ascending: false });
    }
    // The API returns 1,000 rows at most, unless the project's `max_rows` says otherwise.
    return toPage(
      this.#rows(await request.limit(Math.min(limit + 1, 1_000))),
      Math.min(limit, 999),
    );
  }

  async count(query?: StatusQuery): Promise<number> {
    // No row is asked for, but a body: HEAD's answer can't say what went wrong.
    const request = where(
      this.#table().select('queue', { count: 'exact' }),
      resolveQuery(query).filter,
    );
    return this.#count(await request.limit(0));
  }

  /**
   * As `StatusStore` says. The API takes the rows in an order of its own: beside a write of the same rows
   * Postgres may end either as a deadlock. The write is repeated by tracking; a `delete` that rejects with
   * `ERR_STORE_UNAVAILABLE` may be called again. `prune` never meets one.
   */
  async delete(query: StatusFilter): Promise<number> {
    const request = this.#table().delete({ count: 'exact' });
    return this.#count(await where(request, resolveDeletion(query)));
  }

  async prune(options: PruneOptions): Promise<number> {
    const resolved = resolvePrune(options);
    return pruneInSteps(resolved, async () => {
      const response = await this.#api().rpc(this.#names.pruneFunction, {
        older_than: resolved.olderThan.toISOString(),
        statuses: resolved.statuses,
        at_most: PRUNE_STEP,
      });
      this.#check(response, typeof response.data === 'number');
      return response.data as number;
    });
  }

  #api(): Api {
    return this.#client.schema(this.#names.schema as never) as unknown as Api;
  }

  #table(): Table {
    return this.#api().from(this.#names.table);
  }

  #rows(response: Response): JobStatus[] {
    this.#check(response, Array.isArray(response.data));
    return (response.data as Row[]).map(fromRow);
  }

  #count(response: Response): number {
    this.#check(response, response.count !== null);
    return response.count ?? 0;
  }

  /**
   * supabase-js reports failures as values, and takes an empty answer of any server for a success:
   * only what the table and the function really answer passes.
   */
  #check({ error, status }: Response, isAnswer: boolean): void {
    if (error === null && isAnswer) return;
    // Postgres' details quote the row: there for who asks the cause for them, but not for logs.
    if (typeof error === 'object' && error !== null) {
      Object.defineProperty(error, 'details', { enumerable: false });
    }
    const state = codeOf(error);
    const code = codeOfFailure(status, state);
    const advice = this.#whatToDo(code, state, status);
    const what =
      error === null ? 'with what is no answer of its API' : (error.message ?? messageOf(error));
    const message = `Supabase answered ${status || 'nothing'}: ${what}${advice}`;
    throw new JobStatusError(code, message, { cause: error });
  }

  #whatToDo(code: JobStatusErrorCode, state: string, status: number): string {
    if ([414, 431].includes(status)) return '. A query goes in the URL: ask for shorter texts';
    if (code !== 'ERR_STORE_SETUP') return '';
    if (state === 'PGRST106') return ". Add the schema to those that the project's API exposes";
    if (!isMissing(state) && !/^PGRST20[245]$/.test(state))
      return ". Check the project's URL and the key: it must be the secret one";
    const command = `npx bullmq-job-status init --supabase${tableFlags(this.#names)}`;
    return `. Run \`${command}\` and then \`supabase db push\``;
  }
}

/**
 * What a failure says: by its SQLSTATE, by PostgREST's own code (1 its request, 2 its schema cache, 3
 * its token, else its connection or itself), or else by its HTTP status (0: no answer at all).
 */
function codeOfFailure(status: number, code: string): JobStatusErrorCode {
  if (/^[0-9A-Z]{5}$/.test(code)) return codeOfSqlState(code);
  if (/^PGRST[123]/.test(code)) return 'ERR_STORE_SETUP';
  if (code.startsWith('PGRST')) return 'ERR_STORE_UNAVAILABLE';
  if ([413, 414, 431].includes(status)) return 'ERR_STORE_REFUSED';
  const passes = status === 0 || status >= 500 || [408, 425, 429].includes(status);
  return passes ? 'ERR_STORE_UNAVAILABLE' : 'ERR_STORE_SETUP';
}

function where(request: Filter, filter: ResolvedFilter): Filter {
  const { queue, name, status, metadata } = filter;
  let narrowed = request;
  if (queue !== undefined) narrowed = narrowed.eq('queue', queue);
  if (name !== undefined) narrowed = narrowed.eq('name', name);
  if (status !== undefined) narrowed = narrowed.in('status', status);
  if (metadata !== undefined) narrowed = narrowed.contains('metadata', metadata);
  const from = (column: string, time: Date | undefined) => {
    if (time !== undefined) narrowed = narrowed.gte(column, time.toISOString());
  };
  const before = (column: string, time: Date | undefined) => {
    if (time !== undefined) narrowed = narrowed.lt(column, time.toISOString());
  };
  from('created_at', filter.createdFrom);
  before('created_at', filter.createdBefore);
  from('finished_at', filter.finishedFrom);
  before('finished_at', filter.finishedBefore);
  before('updated_at', filter.updatedBefore);
  return narrowed;
}

/** PostgREST's condition for the rows after a place, in descending order. */
function isAfter({ createdAt, queue, jobId }: Place): string {
  const [time, inQueue, id] = [createdAt.toISOString(), queue, jobId].map(quote);
  return `created_at.lt.${time},and(created_at.eq.${time},queue.lt.${inQueue}),and(created_at.eq.${time},queue.eq.${inQueue},job_id.lt.${id})`;
}

/** A value within PostgREST's filter language. */
function quote(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/* supabase-js, as far as it is called here; `SupabaseClientLike` says less, so that every client fits. */
interface Api {
  rpc(
    fn: string,
    args: object,
  ): PromiseLike<Response> & { abortSignal(signal: AbortSignal): PromiseLike<Response> };
  from(table: string): Table;
}
interface Table {
  select(columns: string, options?: { count: 'exact' }): Filter;
  delete(options: { count: 'exact' }): Filter;
}
interface Filter extends PromiseLike<Response> {
  eq(column: string, value: string): Filter;
  in(column: string, values: readonly string[]): Filter;
  gte(column: string, value: string): Filter;
  lt(column: string, value: string): Filter;
  lte(column: string, value: string): Filter;
  contains(column: string, value: object): Filter;
  or(conditions: string): Filter;
  order(column: string, options: { ascending: boolean }): Filter;
  limit(count: number): Filter;
}
interface Response {
  readonly data: unknown;
  readonly count: number | null;
  readonly status: number;
  readonly error: {
    readonly message?: string;
    readonly code?: string;
    readonly details?: string;
  } | null;
}

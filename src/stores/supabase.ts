import { toAttempts } from '../attempts.ts';
import { codeOf, JobStatusError, kindOf, messageOf, type JobStatusErrorCode } from '../errors.ts';
import { foldUpdates } from '../merge.ts';
import { tableNames, type TableNames, type TableOptions } from '../migrations/names.ts';
import { WRITABLE_VERSION } from '../migrations/version.ts';
import { forgetValue, hushFields } from '../secrets.ts';
import type { PruneOptions, StatusFilter, StatusPage, StatusQuery, StatusStore } from '../store.ts';
import type { JobAttempt, JobKey, JobStatus, StatusUpdate } from '../types.ts';
import { unlike } from '../validate.ts';
import { PRUNE_STEP, pruneInSteps, resolvePrune } from './prune.ts';
import { resolveDeletion, resolveQuery, storedKey, toPage, type ResolvedFilter } from './query.ts';
import { fromAttemptRow, fromRow, toRecord, type Row } from './row.ts';
import { tableFlags } from './setup.ts';
import { codeOfSqlState, isMissing, quotesValue } from './sqlstate.ts';
import {
  brief,
  isAfter,
  listsForUrls,
  quote,
  send,
  where,
  type Answer,
  type Api,
  type Filter,
  type Table,
} from './supabase-api.ts';

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
      schema_version: WRITABLE_VERSION,
    });
    const answer = await send(request, signal);
    // The function says how many rows it merged.
    this.#check(answer, typeof answer.data === 'number');
  }

  async get(
    key: JobKey,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<JobStatus | undefined> {
    const { queue, jobId } = storedKey(key);
    const request = this.#table().select('*').eq('queue', queue).eq('job_id', jobId);
    return this.#rows(await send(request, signal))[0];
  }

  async attempts(key: JobKey): Promise<JobAttempt[]> {
    const { queue, jobId } = storedKey(key);
    const { attemptsTable } = this.#names;
    // In one request, so both are of one moment.
    const request = this.#table().select(`*, ${quote(attemptsTable)}(*)`);
    const answer = await send(request.eq('queue', queue).eq('job_id', jobId));
    const [row] = this.#rows(answer);
    if (row === undefined) return [];
    const [found] = answer.data as [Row];
    return toAttempts(row, (found[attemptsTable] as Row[]).map(fromAttemptRow));
  }

  async list(query?: StatusQuery, { signal }: { signal?: AbortSignal } = {}): Promise<StatusPage> {
    const { filter, limit, after, newest } = resolveQuery(query);
    let request = this.#select('*', filter);
    if (newest !== undefined) request = request.lte('created_at', newest.toISOString());
    if (after !== undefined) request = request.or(isAfter(after));
    for (const column of ['created_at', 'queue', 'job_id']) {
      request = request.order(column, { ascending: false });
    }
    // The API returns 1,000 rows at most, unless the project's `max_rows` says otherwise.
    const answer = await send(request.limit(Math.min(limit + 1, 1_000)), signal);
    return toPage(this.#rows(answer), Math.min(limit, 999));
  }

  async count(query?: StatusQuery): Promise<number> {
    // No row is asked for, but a body: HEAD's answer can't say what went wrong.
    const request = this.#select('queue', resolveQuery(query).filter, { count: 'exact' });
    return this.#count(await send(request.limit(0)));
  }

  /**
   * As `StatusStore` says. The API takes the rows in an order of its own: beside a write of the same rows
   * Postgres may end either as a deadlock. The write is repeated by tracking; a `delete` that rejects with
   * `ERR_STORE_UNAVAILABLE` may be called again. `prune` never meets one. Many ids take several requests.
   */
  async delete(query: StatusFilter): Promise<number> {
    const { jobId, ...filter } = resolveDeletion(query);
    const request = () => where(this.#table().delete({ count: 'exact' }), filter);
    if (jobId === undefined) return this.#count(await send(request()));
    let deleted = 0;
    for (const ids of listsForUrls(jobId))
      deleted += this.#count(await send(request().filter('job_id', 'in', ids)));
    return deleted;
  }

  async prune(options: PruneOptions): Promise<number> {
    const resolved = resolvePrune(options);
    return pruneInSteps(resolved, async () => {
      const request = this.#api().rpc(this.#names.pruneFunction, {
        older_than: resolved.olderThan.toISOString(),
        statuses: resolved.statuses,
        at_most: PRUNE_STEP,
      });
      const answer = await send(request);
      this.#check(answer, typeof answer.data === 'number');
      return answer.data as number;
    });
  }

  #api(): Api {
    return this.#client.schema(this.#names.schema as never) as unknown as Api;
  }

  #table(): Table {
    return this.#api().from(this.#names.table);
  }

  #select(columns: string, filter: ResolvedFilter, options?: { count: 'exact' }): Filter {
    const { queue, jobId } = filter;
    if (jobId === undefined) return where(this.#table().select(columns, options), filter);
    // The same rows from a function, for a request's body has room for the ids.
    const args = { in_queue: queue ?? null, ids: jobId };
    return where(this.#api().rpc(this.#names.byIdFunction, args, options).select(columns), filter);
  }

  #rows(answer: Answer): JobStatus[] {
    this.#check(answer, Array.isArray(answer.data));
    return (answer.data as Row[]).map(fromRow);
  }

  #count(answer: Answer): number {
    this.#check(answer, answer.count !== null);
    return answer.count ?? 0;
  }

  /**
   * supabase-js reports failures as values, and takes an empty answer of any server for a success:
   * only what the table and the function really answer passes.
   */
  #check({ error, status, retryAfterMs }: Answer, isAnswer: boolean): void {
    if (error === null && isAnswer) return;
    const state = codeOf(error);
    if (error !== null) {
      // A plain object, made for this answer alone.
      if (quotesValue(state)) forgetValue(error);
      hushFields(error);
    }
    const code = codeOfFailure(status, state);
    const advice = this.#whatToDo(code, state, status);
    const what =
      error === null
        ? 'with what is no answer of its API'
        : brief(error.message ?? messageOf(error));
    const message = `Supabase answered ${status || 'nothing'}: ${what}${advice}`;
    const asked = retryAfterMs === undefined ? {} : { retryAfterMs };
    throw new JobStatusError(code, message, { cause: error, ...asked });
  }

  #whatToDo(code: JobStatusErrorCode, state: string, status: number): string {
    if ([414, 431].includes(status)) return '. A query goes in the URL: ask for shorter texts';
    if (code !== 'ERR_STORE_SETUP') return '';
    if (state === 'PGRST106') return ". Add the schema to those that the project's API exposes";
    if (!isMissing(state) && !/^PGRST20[0245]$/.test(state))
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

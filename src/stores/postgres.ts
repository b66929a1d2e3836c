import { toAttempts } from '../attempts.ts';
import { codeOf, JobStatusError, kindOf, messageOf, type JobStatusErrorCode } from '../errors.ts';
import { foldUpdates } from '../merge.ts';
import { tableNames, type TableNames, type TableOptions } from '../migrations/names.ts';
import { WRITABLE_VERSION } from '../migrations/version.ts';
import { forgetValue } from '../secrets.ts';
import type { PruneOptions, StatusFilter, StatusPage, StatusQuery, StatusStore } from '../store.ts';
import type { JobAttempt, JobKey, JobStatus, StatusUpdate } from '../types.ts';
import { unlike } from '../validate.ts';
import { queryOn, type PostgresClientLike, type Query } from './postgres-query.ts';
import { PRUNE_STEP, pruneInSteps, resolvePrune } from './prune.ts';
import { resolveDeletion, resolveQuery, storedKey, toPage, type ResolvedFilter } from './query.ts';
import { fromAttemptRow, fromRow, toRecord, type Row } from './row.ts';
import { tableFlags } from './setup.ts';
import { codeOfSqlState, isMissing, quotesValue } from './sqlstate.ts';

export type { TableOptions } from '../migrations/names.ts';
export type { PostgresClientLike } from './postgres-query.ts';

/**
 * Whoever waits for a lock does not notice that its client is gone, so of a table that somebody locks for long
 * (a migration of yours, say) each write that is repeated would leave a waiting process on the server. It ends
 * sooner than a write does, for this statement alone, and where nobody has set another limit.
 */
const LIMIT_LOCKS = `select set_config('lock_timeout', coalesce(nullif(current_setting('lock_timeout'), '0'), '25s'), true)`;

/**
 * Keeps rows in a Postgres table, by any client with pg's `query(text, values)`: one statement for a
 * whole batch. Create the table once with `migrationSql()` or `migrate()` of
 * `bullmq-job-status/migrations`.
 *
 * @example
 * const store = new PostgresStatusStore(new Pool({ connectionString }));
 */
export class PostgresStatusStore implements StatusStore {
  readonly #run: Query;
  readonly #names: TableNames;
  readonly #table: string;

  /**
   * @param client a `pg.Pool`, or a `pg.Client` that is connected; the store never ends it. A pool makes a
   *   connection anew where one is lost, and a client doesn't
   * @throws {InvalidArgumentError} where the client is none, a name is empty, too long, or holds `U+0000`
   */
  constructor(client: PostgresClientLike, options?: TableOptions) {
    if (typeof (client as Partial<PostgresClientLike> | undefined)?.query !== 'function') {
      throw unlike('client', "a client with pg's query(text, values)", kindOf(client));
    }
    this.#run = queryOn(client);
    this.#names = tableNames(options);
    this.#table = this.#names.qualify(this.#names.table);
  }

  async write(
    updates: readonly StatusUpdate[],
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<void> {
    const records = foldUpdates(updates).map(toRecord);
    const { qualify, writeFunction } = this.#names;
    const call = `with limits as materialized (${LIMIT_LOCKS}) select ${qualify(writeFunction)}($1::jsonb, ${WRITABLE_VERSION}) from limits`;
    await this.#query(call, [JSON.stringify(records)], signal);
  }

  async get(
    key: JobKey,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<JobStatus | undefined> {
    const { queue, jobId } = storedKey(key);
    const [row] = await this.#rows('where queue = $1 and job_id = $2', [queue, jobId], signal);
    return row;
  }

  async attempts(key: JobKey): Promise<JobAttempt[]> {
    const { queue, jobId } = storedKey(key);
    const { qualify, attemptsTable } = this.#names;
    // In one statement, so both are of one moment.
    const [found] = await this.#query(
      `select to_jsonb(t) as row, (
          select coalesce(jsonb_agg(to_jsonb(a)), '[]') from ${qualify(attemptsTable)} a
          where a.queue = t.queue and a.job_id = t.job_id
        ) as attempts
      from ${this.#table} t where queue = $1 and job_id = $2`,
      [queue, jobId],
    );
    if (found === undefined) return [];
    const records = (found['attempts'] as Row[]).map(fromAttemptRow);
    return toAttempts(fromRow(found['row'] as Row), records);
  }

  async list(query?: StatusQuery, { signal }: { signal?: AbortSignal } = {}): Promise<StatusPage> {
    const { filter, limit, after, newest } = resolveQuery(query);
    const { conditions, values } = conditionsOf(filter);
    if (newest !== undefined)
      conditions.push(`created_at <= $${values.push(newest.toISOString())}`);
    if (after !== undefined) {
      const n = values.push(after.createdAt.toISOString(), after.queue, after.jobId);
      conditions.push(`(created_at, queue, job_id) < ($${n - 2}, $${n - 1}, $${n})`);
    }
    values.push(limit + 1);
    const order = `order by created_at desc, queue desc, job_id desc limit $${values.length}`;
    const rest = `where ${conditions.join(' and ')} ${order}`;
    return toPage(await this.#rows(rest, values, signal), limit);
  }

  async count(query?: StatusQuery): Promise<number> {
    const { conditions, values } = conditionsOf(resolveQuery(query).filter);
    return this.#count(
      `select count(*) from ${this.#table} where ${conditions.join(' and ')}`,
      values,
    );
  }

  async delete(query: StatusFilter): Promise<number> {
    const { conditions, values } = conditionsOf(resolveDeletion(query));
    // Rows are locked in the order in which a write locks them, so that the two can't deadlock.
    const sql = `with doomed as materialized (
        select queue, job_id from ${this.#table} where ${conditions.join(' and ')}
        order by queue collate "C", job_id collate "C" for update
      ), deleted as (
        delete from ${this.#table} t using doomed d where t.queue = d.queue and t.job_id = d.job_id returning 1
      ) select count(*) from deleted`;
    return this.#count(sql, values);
  }

  async prune(options: PruneOptions): Promise<number> {
    const resolved = resolvePrune(options);
    const call = `select ${this.#names.qualify(this.#names.pruneFunction)}($1, $2, ${PRUNE_STEP}) as count`;
    const values = [resolved.olderThan.toISOString(), resolved.statuses];
    return pruneInSteps(resolved, () => this.#count(call, values));
  }

  /** Rows as JSON, so that neither the client's type parsers nor its time zone have a say in them. */
  async #rows(rest: string, values: unknown[], signal?: AbortSignal): Promise<JobStatus[]> {
    const sql = `select to_jsonb(t) as row from ${this.#table} t ${rest}`;
    const rows = await this.#query(sql, values, signal);
    return rows.map(({ row }) => fromRow(row as Row));
  }

  async #count(sql: string, values: unknown[]): Promise<number> {
    const [row] = await this.#query(sql, values);
    return Number(row?.['count']);
  }

  async #query(sql: string, values: unknown[], signal?: AbortSignal): Promise<Row[]> {
    try {
      const { rows } = await this.#run(sql, values, signal);
      return rows as Row[];
    } catch (cause) {
      if (signal?.aborted) throw cause;
      const state = codeOf(cause);
      if (quotesValue(state) && cause instanceof Error) forgetValue(cause);
      const code = codeOfSqlState(state);
      const advice = this.#whatToDo(code, state);
      throw new JobStatusError(code, `Postgres failed: ${messageOf(cause)}${advice}`, { cause });
    }
  }

  #whatToDo(code: JobStatusErrorCode, state: string): string {
    if (code !== 'ERR_STORE_SETUP') return '';
    if (!isMissing(state))
      return ". Check the client's database, its role, and what the role may do";
    const command = `npx bullmq-job-status migrate --database-url <url>${tableFlags(this.#names)}`;
    return `. Run \`${command}\`, or migrate() of bullmq-job-status/migrations`;
  }
}

function conditionsOf(filter: ResolvedFilter): { conditions: string[]; values: unknown[] } {
  const { queue, jobId, name, status, metadata } = filter;
  // One that always holds, so that there is a `where` whatever else is asked.
  const conditions = ['true'];
  const values: unknown[] = [];
  const add = (condition: string, value: unknown) => {
    if (value !== undefined) conditions.push(`${condition} $${values.push(value)}`);
  };
  add('queue =', queue);
  if (jobId !== undefined) conditions.push(`job_id = any($${values.push(jobId)}::text[])`);
  add('name =', name);
  if (status !== undefined) conditions.push(`status = any($${values.push(status)}::text[])`);
  add('metadata @>', metadata && JSON.stringify(metadata));
  add('created_at >=', filter.createdFrom?.toISOString());
  add('created_at <', filter.createdBefore?.toISOString());
  add('finished_at >=', filter.finishedFrom?.toISOString());
  add('finished_at <', filter.finishedBefore?.toISOString());
  add('updated_at <', filter.updatedBefore?.toISOString());
  return { conditions, values };
}

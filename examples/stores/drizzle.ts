import type { Client, ResultSet } from '@libsql/client';
import { compareAndSetStore, reviveStatus, statusMatcher } from 'bullmq-job-status';
import type { JobKey, JobState, JobStatus, StatusFilter, StatusQuery } from 'bullmq-job-status';
import type { FinishedState, SerializedStatus, StatusStore } from 'bullmq-job-status';
import { and, desc, eq, gte, inArray, lt, sql, type SQL } from 'drizzle-orm';
import type { LibSQLDatabase } from 'drizzle-orm/libsql';
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { randomUUID } from 'node:crypto';

/*
 * Rows in SQLite, through Drizzle: the whole row as JSON, and columns for what is asked for. By metadata rows are
 * looked through; what yours always has, a tenant's id, is worth a column.
 */

export const jobStatus = sqliteTable(
  'job_status',
  {
    queue: text('queue').notNull(),
    jobId: text('job_id').notNull(),
    name: text('name').notNull(),
    status: text('status').$type<JobState>().notNull(),
    createdAt: integer('created_at', { mode: 'timestamp_ms' }).notNull(),
    finishedAt: integer('finished_at', { mode: 'timestamp_ms' }),
    updatedAt: integer('updated_at', { mode: 'timestamp_ms' }).notNull(),
    version: text('version').notNull(),
    row: text('row', { mode: 'json' }).$type<SerializedStatus>().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.queue, table.jobId] }),
    index('job_status_by_time').on(table.queue, table.createdAt, table.jobId),
    index('job_status_by_end').on(table.status, table.finishedAt),
  ],
);

/** The same for `client.executeMultiple`, where no migrations are. */
export const CREATE_TABLE = `
  create table if not exists job_status (
    queue text not null, job_id text not null, name text not null, status text not null,
    created_at integer not null, finished_at integer, updated_at integer not null,
    version text not null, row text not null, primary key (queue, job_id)
  );
  create index if not exists job_status_by_time on job_status (queue, created_at, job_id);
  create index if not exists job_status_by_end on job_status (status, finished_at)`;

const { queue, jobId, name, status, createdAt, finishedAt, updatedAt, version, row } = jobStatus;

const FINISHED: readonly FinishedState[] = ['completed', 'failed', 'cancelled', 'removed'];

/** How many rows a statement reads, or `prune` deletes, at most. */
const STEP = 1_000;

/** @param db of a client with a `timeout`, where several processes have one file: then they wait for each other */
export function createDrizzleStore<Schema extends Record<string, unknown>>(
  db: LibSQLDatabase<Schema> & { $client: Client },
) {
  /** How many rows a statement changed. */
  async function changed(statement: Promise<ResultSet>): Promise<number> {
    try {
      return (await statement).rowsAffected;
    } catch (error) {
      // What waited in vain for a lock stays unfinished, and nothing that this connection writes after it is
      // committed, though it seems so: https://github.com/tursodatabase/libsql-client-ts/issues/352
      const { cause } = error as { cause?: { code?: unknown } };
      if (cause?.code === 'SQLITE_BUSY') db.$client.reconnect();
      throw error;
    }
  }

  /** The rows that match, newest first. */
  async function* matching(query: StatusQuery, step = STEP) {
    const matches = statusMatcher(query);
    let after = query.cursor;
    for (let isLast = false; !isLast;) {
      const rows = await db
        .select({ row, version })
        .from(jobStatus)
        .where(and(conditions(query), given(after, isAfter)))
        .orderBy(desc(createdAt), desc(queue), desc(jobId))
        .limit(step);
      const found = rows.map((each) => ({ row: reviveStatus(each.row), version: each.version }));
      yield* found.filter((each) => matches(each.row));
      after = found.map((each) => toCursor(each.row)).at(-1);
      isLast = found.length < step;
    }
  }

  return {
    ...compareAndSetStore<string>({
      read(keys) {
        // As one value: conditions joined by `or` may be a thousand at most.
        const list = JSON.stringify(keys.map((key) => [key.queue, key.jobId]));
        const isListed = sql`(${queue}, ${jobId}) in
          (select value ->> 0, value ->> 1 from json_each(${list}))`;
        return db.select({ version, row }).from(jobStatus).where(isListed);
      },
      async compareAndSet(key, expected, stored) {
        const { name, status, createdAt, updatedAt } = stored;
        const columns = { ...key, name, status, createdAt, updatedAt, finishedAt: endOf(stored) };
        // A version never comes twice. A number counted up would: it begins anew where a row was deleted and
        // written again, and who had read the one before would take it for that, and overwrite it.
        const values = { ...columns, version: randomUUID(), row: stored };
        const statement =
          expected === undefined
            ? db.insert(jobStatus).values(values).onConflictDoNothing()
            : db.update(jobStatus).set(values).where(isStill(key, expected));
        return (await changed(statement)) === 1;
      },
    }),

    async list(query = {}) {
      const { limit = 50 } = query;
      const rows: JobStatus[] = [];
      for await (const each of matching(query, query.metadata ? STEP : limit + 1)) {
        rows.push(each.row);
        if (rows.length > limit) break;
      }
      const items = rows.slice(0, limit);
      return { items, nextCursor: rows.length > limit ? toCursor(items.at(-1)!) : null };
    },

    async count(query = {}) {
      statusMatcher(query); // refuses a condition that is misspelt
      if (query.metadata === undefined) return db.$count(jobStatus, conditions(query));
      let count = 0;
      for await (const _ of matching(query)) count++;
      return count;
    },

    async delete(query) {
      statusMatcher(query);
      const where = conditions(query);
      if (where === undefined && query.metadata === undefined)
        throw new TypeError('Expected a condition at least: without any it would delete every row');
      if (query.metadata === undefined) return changed(db.delete(jobStatus).where(where));
      let [deleted, missed] = [0, 0];
      do {
        missed = 0;
        for await (const each of matching(query)) {
          const isDeleted = await changed(
            db.delete(jobStatus).where(isStill(each.row, each.version)),
          );
          deleted += isDeleted;
          missed += 1 - isDeleted;
        }
        // What somebody wrote to meanwhile is looked at again.
      } while (missed > 0);
      return deleted;
    },

    async prune({ olderThan, statuses, signal }) {
      if (olderThan === undefined || Number(olderThan) < 0)
        throw new TypeError('Expected `olderThan`: a Date, or an age in ms');
      const isAge = typeof olderThan === 'number';
      const before = isAge ? new Date(Date.now() - olderThan) : olderThan;
      const query = { finishedBefore: before, status: statuses ?? FINISHED };
      statusMatcher(query);
      const rowid = sql`rowid`;
      const some = db.select({ rowid }).from(jobStatus).where(conditions(query)).limit(STEP);
      let pruned = 0;
      for (let found = STEP; found === STEP; pruned += found) {
        signal?.throwIfAborted();
        found = await changed(db.delete(jobStatus).where(inArray(rowid, some)));
      }
      return pruned;
    },
  } satisfies StatusStore;
}

/** All of a query but `metadata`. */
function conditions(query: StatusFilter): SQL | undefined {
  return and(
    given(query.queue, (value) => eq(queue, value)),
    given(query.jobId, (value) => inArray(jobId, [value].flat())),
    given(query.name, (value) => eq(name, value)),
    given(query.status, (value) => inArray(status, [value].flat())),
    given(query.createdFrom, (time) => gte(createdAt, time)),
    given(query.createdBefore, (time) => lt(createdAt, time)),
    given(query.finishedFrom, (time) => gte(finishedAt, time)),
    given(query.finishedBefore, (time) => lt(finishedAt, time)),
    given(query.updatedBefore, (time) => lt(updatedAt, time)),
  );
}

function given<T>(value: T | undefined, condition: (value: T) => SQL): SQL | undefined {
  return value === undefined ? undefined : condition(value);
}

function isStill(key: JobKey, expected: string): SQL | undefined {
  return and(eq(queue, key.queue), eq(jobId, key.jobId), eq(version, expected));
}

/** When a job ended, however it did; of one that was removed, when that was found. */
function endOf(stored: JobStatus): Date | null {
  const end = stored.completedAt ?? stored.failedAt ?? stored.cancelledAt;
  if (end !== null || stored.status !== 'removed') return end;
  return stored.updatedAt > stored.createdAt ? stored.updatedAt : stored.createdAt;
}

function toCursor(place: JobStatus): string {
  return JSON.stringify([place.createdAt.getTime(), place.queue, place.jobId]);
}

/** A place in the order, and no number of rows: it stays right while rows change. */
function isAfter(cursor: string): SQL {
  const [ms, ofQueue, id] = JSON.parse(cursor) as [number, string, string];
  return sql`(${createdAt}, ${queue}, ${jobId}) < (${ms}, ${ofQueue}, ${id})`;
}

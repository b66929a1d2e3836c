import { setTimeout as sleep } from 'node:timers/promises';
import type { QueuedJob } from '../queue-snapshot.ts';
import type { JobKey } from '../types.ts';
import { lastOfEach, toChange, toQueuedJob, type RawEvent, type RawFields } from './fields.ts';
import { BEGINNING, fromCursor, nextPlace, toCursor, type EventPlace } from './postgres-cursor.ts';
import { postgresSql } from './postgres-sql.ts';
import type { QueueReader } from './reader.ts';

/** What of the `PostgresConnection` of a BullMQ queue is used. */
export interface PostgresConnection {
  readonly schema: string;
  readonly pool: { query(text: string, values: unknown[]): Promise<{ rows: unknown[] }> };
  /** Makes or checks the schema. */
  waitUntilReady(): Promise<unknown>;
}

/**
 * How often a wait looks whether there is something, in ms. Notifications would need a connection that is held,
 * and BullMQ leaves some out under load, so that one would have to look all the same.
 */
const POLL_MS = 250;

interface JobRow extends RawFields {
  readonly id: string;
  readonly state: QueuedJob['state'];
  readonly delayed_until: string | null;
  readonly children: string;
}

interface LookRow {
  readonly newest: string | null;
  readonly lowest: string | null;
  readonly settled: string;
  readonly transaction: string | null;
  readonly events: string;
}

type EventRow = readonly [
  id: number,
  event: string,
  on: number,
  jobId: string | null,
  value: string | null,
];

/** @param queue its name */
export function createPostgresReader(queue: string, connection: PostgresConnection): QueueReader {
  const sql = postgresSql(connection.schema);
  let isClosed = false;
  let stop = () => {};

  // The pool itself: what BullMQ's backend is asked while it closes is never answered.
  async function query<Row>(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    // What is wrong with the schema is for BullMQ to say; what is wrong with the pool it says itself.
    await connection.waitUntilReady().catch(() => {});
    const { rows } = await connection.pool.query(text, [queue, ...values]);
    return rows as Row[];
  }

  async function look(text: string, place: EventPlace, limit: number | null) {
    const { floor, read, mark } = place;
    const [row] = await query<LookRow>(text, [floor, read, limit, mark?.transaction ?? null]);
    if (row === undefined) throw new Error('Postgres answered nothing');
    const events = JSON.parse(row.events) as readonly EventRow[];
    const hasMore = limit !== null && events.length >= limit;
    return {
      events,
      hasMore,
      // The schema is another one, whose sequence began anew.
      isAnew: row.newest !== null && Number(row.newest) < floor,
      next: nextPlace(place, {
        ids: events.map(([id]) => id),
        hasMore,
        lowest: row.lowest === null ? null : Number(row.lowest),
        settled: row.settled === 'true',
        transaction: row.transaction,
      }),
    };
  }

  async function hasNews({ floor, read }: EventPlace): Promise<boolean> {
    const [row] = await query<{ news: string }>(sql.hasNews, [floor, read]);
    return row?.news === 'true';
  }

  return {
    async read(ids, parts = 'whole') {
      const jobs = new Map<string, QueuedJob>();
      // Postgres holds no others.
      const possible = ids.filter((id) => id.isWellFormed() && !id.includes('\0'));
      if (possible.length === 0) return jobs;
      for (const row of await query<JobRow>(sql.read(parts), [possible])) {
        const { id, state, children } = row;
        const place = {
          id,
          queueName: queue,
          state,
          delayedUntil: state === 'delayed' ? Number(row.delayed_until) : null,
          children: JSON.parse(children) as JobKey[],
        };
        const job = toQueuedJob(place, row);
        if (job !== undefined) jobs.set(id, job);
      }
      return jobs;
    },

    async unfinishedIds() {
      return (await query<{ id: string }>(sql.unfinished, [])).map(({ id }) => id);
    },

    async endedSince(time) {
      const rows = await query<{ id: string; ended_on: string }>(sql.ended, [String(time)]);
      return new Map(rows.map((row) => [row.id, Number(row.ended_on)]));
    },

    async lastCursor() {
      // Everything that there is, as if it had been read.
      return toCursor((await look(sql.last, BEGINNING, null)).next);
    },

    async changes(cursor, limit) {
      const { events, hasMore, isAnew, next } = await look(sql.changes, fromCursor(cursor), limit);
      if (isAnew) return { cursor: toCursor(BEGINNING), jobs: [], hasMore: true };
      const ofJobs: RawEvent[] = [];
      for (const [, event, on, jobId, value] of events) {
        if (jobId !== null) ofJobs.push({ jobId, event, on, value });
      }
      return { cursor: toCursor(next), jobs: lastOfEach(ofJobs).map(toChange), hasMore };
    },

    async waitForChange(cursor, timeoutMs, signal) {
      if (signal.aborted || isClosed) return;
      const place = fromCursor(cursor);
      const over = new AbortController();
      const stopped = new Promise<true>((resolve) => {
        stop = () => {
          over.abort();
          resolve(true);
        };
      });
      signal.addEventListener('abort', stop, { once: true, signal: over.signal });
      const timer = setTimeout(stop, timeoutMs);
      try {
        while (!over.signal.aborted) {
          // What keeps it from looking is for `changes` to say.
          const news = hasNews(place).catch(() => false);
          if (await Promise.race([news, stopped])) return;
          await sleep(POLL_MS, undefined, { signal: over.signal }).catch(() => {});
        }
      } finally {
        clearTimeout(timer);
        over.abort();
      }
    },

    close() {
      isClosed = true;
      stop();
    },
  };
}

import { compareAndSetStore, reviveStatus, statusMatcher } from 'bullmq-job-status';
import type { JobKey, JobStatus, SerializedStatus } from 'bullmq-job-status';
import type { StatusQuery, StatusStore } from 'bullmq-job-status';
import type { Cluster, Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';

/*
 * Rows in Redis: for each queue a hash of rows, and an index of them by `createdAt`. By that and by their ids jobs
 * are found at once; for any other condition the rows of a queue are looked through.
 *
 * A hash has a job's version and then its row. The version begins with `createdAt`, as it is in the index, and
 * ends with what never comes twice. A number counted up would: it begins anew where a job was deleted and told of
 * again, and who had read the row before would take the one for the other, and overwrite it.
 */

const TIME = 15;
const VERSION = TIME + 36;
/** How many rows are looked at in one go. */
const CHUNK = 200;

/**
 * Writes a row, or deletes it, unless somebody else did since its version was read.
 * KEYS: rows, index. ARGV: the job's id; the version expected, '' for none; what to write, '' to delete.
 */
const COMPARE_AND_SET = `
  local before = redis.call('HGET', KEYS[1], ARGV[1])
  if (before and before:sub(1, ${VERSION}) or '') ~= ARGV[2] then return 0 end
  if before then redis.call('ZREM', KEYS[2], before:sub(1, ${TIME}) .. ARGV[1]) end
  if ARGV[3] == '' then return redis.call('HDEL', KEYS[1], ARGV[1]) end
  redis.call('ZADD', KEYS[2], 0, ARGV[3]:sub(1, ${TIME}) .. ARGV[1])
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  return 1`;

/** @param options.prefix what all its keys begin with. @default 'job-status' */
export function createRedisStore(
  redis: Redis | Cluster,
  { prefix = 'job-status' }: { prefix?: string } = {},
) {
  // A cluster keeps in one place what has the same in braces: both keys of a queue, whatever its name.
  const rowsOf = (queue: string) => `${prefix}:{q:${queue}}:rows`;
  const indexOf = (queue: string) => `${prefix}:{q:${queue}}:index`;

  async function read({ queue, jobId }: JobKey) {
    const text = (await redis.hget(rowsOf(queue), jobId)) ?? '';
    if (text === '') return undefined;
    const row = JSON.parse(text.slice(VERSION)) as SerializedStatus;
    return { version: text.slice(0, VERSION), row };
  }

  async function set({ queue, jobId }: JobKey, expected: string, text: string) {
    const keys = [rowsOf(queue), indexOf(queue)] as const;
    return (await redis.eval(COMPARE_AND_SET, 2, ...keys, jobId, expected, text)) === 1;
  }

  /** The rows of a queue that match: newest first, unless the query names the jobs. */
  async function* matching(queue: string, query: StatusQuery) {
    const { jobId, createdFrom, createdBefore, cursor } = query;
    const matches = statusMatcher(query);
    const ids = jobId === undefined ? undefined : [...new Set([jobId].flat())];
    const end = Math.min(createdBefore?.getTime() ?? LAST, cursor ? placeIn(cursor)[0] + 1 : LAST);
    const oldest = `[${timeOf(createdFrom?.getTime() ?? 0)}`;
    let newest = `(${timeOf(end)}`;
    for (let left = true; left;) {
      const places =
        ids?.map((id) => ' '.repeat(TIME) + id) ??
        (await redis.zrevrangebylex(indexOf(queue), newest, oldest, 'LIMIT', 0, CHUNK));
      const rows = places.map(async (place) => {
        const each = await read({ queue, jobId: place.slice(TIME) });
        if (each === undefined) return [];
        // An id that was used again meanwhile is elsewhere in the index by now.
        const isThere = ids !== undefined || each.version.startsWith(place.slice(0, TIME));
        const row = reviveStatus(each.row);
        return isThere && matches(row) ? [{ row, version: each.version }] : [];
      });
      yield* (await Promise.all(rows)).flat();
      left = ids === undefined && places.length === CHUNK;
      newest = `(${places.at(-1)}`;
    }
  }

  /** The queues that a query is about. It is checked here too, since there may be none. */
  async function queuesOf(query: StatusQuery) {
    statusMatcher(query);
    return query.queue === undefined ? redis.smembers(`${prefix}:queues`) : [query.queue];
  }

  return {
    ...compareAndSetStore<string>({
      read: (keys) => Promise.all(keys.map(read)),
      async compareAndSet(key, expected = '', row) {
        // First, and waited for: a row must not be in a queue that is not known.
        if (expected === '') await redis.sadd(`${prefix}:queues`, key.queue);
        const version = timeOf(row.createdAt.getTime()) + randomUUID();
        return set(key, expected, version + JSON.stringify(row));
      },
    }),

    async list(query = {}) {
      const { limit = 50, cursor, jobId } = query;
      const pages = (await queuesOf(query)).map(async (queue) => {
        const rows: JobStatus[] = [];
        for await (const { row } of matching(queue, query)) {
          if (!cursor || compare(placeOf(row), placeIn(cursor)) < 0) rows.push(row);
          if (rows.length > limit && jobId === undefined) break;
        }
        return rows;
      });
      const rows = (await Promise.all(pages)).flat();
      rows.sort((a, b) => compare(placeOf(b), placeOf(a)));
      const items = rows.slice(0, limit);
      const hasNext = rows.length > limit;
      return { items, nextCursor: hasNext ? JSON.stringify(items.map(placeOf).at(-1)) : null };
    },

    async count(query = {}) {
      let count = 0;
      for (const queue of await queuesOf(query))
        for await (const _ of matching(queue, query)) count++;
      return count;
    },

    async delete(query) {
      const { limit: _, cursor: __, ...conditions } = query as StatusQuery;
      if (Object.values(conditions).every((value) => value === undefined))
        throw new TypeError('Expected a condition at least: without any it would delete every row');
      let [deleted, missed] = [0, 0];
      do {
        missed = 0;
        for (const queue of await queuesOf(conditions))
          for await (const { row, version } of matching(queue, conditions))
            if (await set(row, version, '')) deleted++;
            else missed++;
        // What somebody wrote to meanwhile is looked at again.
      } while (missed > 0);
      return deleted;
    },
  } satisfies StatusStore;
}

/** What `list` orders by, as its cursors have it. */
type Place = readonly [createdAt: number, queue: string, jobId: string];

const placeOf = (row: JobStatus): Place => [row.createdAt.getTime(), row.queue, row.jobId];
const placeIn = (cursor: string) => JSON.parse(cursor) as Place;

/** By the bytes of ids, as the index has them. */
function compare(a: Place, b: Place): number {
  const byBytes = (at: 1 | 2) => Buffer.compare(Buffer.from(a[at]), Buffer.from(b[at]));
  return a[0] - b[0] || byBytes(1) || byBytes(2);
}

/** Text of one length, so that what is later is greater there too. */
const timeOf = (ms: number) => String(ms).padStart(TIME, '0');
const LAST = 10 ** TIME - 1;

import { setTimeout as sleep } from 'node:timers/promises';
import { jobKey, queueKey } from '../bullmq.ts';
import type { QueuedJob } from '../queue-snapshot.ts';
import { FIELDS, FIELDS_OF, toChange, toQueuedJob, type RawFields } from './fields.ts';
import type { QueueReader } from './reader.ts';
import { CHANGES, ENDED, IDS, LAST_EVENT, READ, type RedisScript } from './redis-scripts.ts';
import { waitOnStream, type BlockableClient } from './redis-wait.ts';

/** What of a Redis client is used: ioredis', or that of one of BullMQ's adapters for others. */
export interface RedisClient extends BlockableClient {
  readonly runCommand?: (name: string, args: readonly string[]) => Promise<unknown>;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): unknown;
}

/** A queue in Redis, as its `Queue` or a `Worker` of it knows it. */
export interface RedisOwner {
  readonly name: string;
  readonly client: () => Promise<RedisClient>;
  /** Whether it was told to close. */
  readonly isClosing: () => boolean;
  /** The name of a key of the queue. */
  readonly toKey: (type: string) => string;
}

/** Where jobs are that have not ended. */
const UNFINISHED = ['wait', 'paused', 'active', 'delayed', 'prioritized', 'waiting-children'];

/** How many ids one request gives at most: milliseconds in which Redis does nothing else. */
const MAX_IDS = 10_000;

/** Before the first event there is. */
const BEGINNING = '0-0';

type ReadReply = readonly (
  | readonly [
      state: QueuedJob['state'],
      score: string,
      children: readonly string[],
      fields: readonly (string | null)[],
    ]
  | null
)[];

type ChangesReply = readonly [
  cursor: string,
  count: number,
  jobs: readonly (readonly [jobId: string, event: string, id: string, value: string | null])[],
];

/** How often it is looked whether a queue without a connection was closed, in ms. */
const LOOK_MS = 250;

export function createRedisReader(owner: RedisOwner): QueueReader {
  const { name, toKey } = owner;
  const events = toKey('events');
  const ownKey = queueKey(toKey('').slice(0, -1));
  const waiting = waitOnStream(connected, events);

  async function connected(): Promise<RedisClient> {
    const connecting = owner.client();
    let client = await Promise.race([connecting, Promise.resolve(undefined)]);
    // BullMQ leaves whoever waits for a connection waiting, where the queue is closed before there was one.
    while (client === undefined) {
      if (owner.isClosing()) throw closedError();
      client = await Promise.race([connecting, sleep(LOOK_MS, undefined)]);
    }
    return client;
  }

  async function run<Reply>(script: RedisScript, args: readonly string[]): Promise<Reply> {
    const on = await connected();
    define(on, script);
    const command = on as unknown as Record<string, (args: readonly string[]) => Promise<unknown>>;
    const reply = await (on.runCommand?.(script.name, args) ?? command[script.name]?.(args));
    return reply as Reply;
  }

  return {
    async read(ids, parts = 'whole') {
      const jobs = new Map<string, QueuedJob>();
      if (ids.length === 0) return jobs;
      const sets = ['completed', 'failed', 'delayed', 'prioritized', 'waiting-children', 'active'];
      const reply = await run<ReadReply | null>(READ[parts], [
        ...sets.map(toKey),
        toKey(''),
        ...ids,
      ]);
      for (const [place, found] of answered(reply).entries()) {
        const id = ids[place];
        if (found === null || id === undefined) continue;
        const [state, score, children, values] = found;
        const fields = new Map(FIELDS_OF[parts].map((field, at) => [field, values[at]]));
        const job = toQueuedJob(
          {
            id,
            queueName: name,
            state,
            delayedUntil: delayedUntil(state, score),
            children: children.map((child) => jobKey(child, ownKey)),
          },
          Object.fromEntries(
            FIELDS.map((field) => [field, fields.get(field) ?? null]),
          ) as RawFields,
        );
        if (job !== undefined) jobs.set(id, job);
      }
      return jobs;
    },

    async unfinishedIds() {
      const ids = new Set<string>();
      for (const type of UNFINISHED) {
        for (let at = 0, length = MAX_IDS; length === MAX_IDS; at += MAX_IDS) {
          const range = [toKey(type), String(at), String(at + MAX_IDS - 1)];
          const page = answered(await run<readonly string[] | null>(IDS, range));
          for (const id of page) ids.add(id);
          length = page.length;
        }
      }
      // BullMQ once marked a list that has delayed jobs to come with the time of the first.
      return [...ids].filter((id) => !/^0:\d+$/.test(id));
    },

    async endedSince(time) {
      const ended = new Map<string, number>();
      for (const type of ['completed', 'failed']) {
        for (let at = 0, length = MAX_IDS; length === MAX_IDS; at += MAX_IDS) {
          const args = [toKey(type), String(time), String(at), String(MAX_IDS)];
          const page = answered(await run<readonly string[] | null>(ENDED, args));
          for (let place = 0; place < page.length; place += 2)
            ended.set(page[place] as string, Number(page[place + 1]));
          length = page.length / 2;
        }
      }
      return ended;
    },

    async lastCursor() {
      return (await run<string | null>(LAST_EVENT, [events])) ?? BEGINNING;
    },

    async changes(cursor, limit) {
      const reply = await run<ChangesReply | null>(CHANGES, [events, cursor, String(limit)]);
      const [place, count, jobs] = answered(reply);
      return {
        cursor: place,
        hasMore: count >= limit,
        jobs: jobs.map(([jobId, event, id, value]) =>
          toChange({ jobId, event, on: Number.parseInt(id, 10), value }),
        ),
      };
    },

    waitForChange: (cursor, timeoutMs, signal) => waiting.wait(cursor, timeoutMs, signal),
    close: () => waiting.close(),
  };
}

/** Once for each client, which a queue may get anew, and which many queues may share. */
function define(client: RedisClient, { name, numberOfKeys, lua }: RedisScript): void {
  if (!(name in client)) client.defineCommand(name, { numberOfKeys, lua });
}

/** A reply. BullMQ's adapters give none where the client was closed meanwhile. */
function answered<Reply>(reply: Reply | null): Reply {
  if (reply === null) throw closedError();
  return reply;
}

/** In the words of Redis' clients. */
function closedError(): Error {
  return new Error('Connection is closed.');
}

/** BullMQ keeps the time in the upper bits of the score, and the order of jobs of that time in the lower 12. */
function delayedUntil(state: QueuedJob['state'], score: string): number | null {
  return state === 'delayed' ? Math.floor(Number(score) / 4096) : null;
}

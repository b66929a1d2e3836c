import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { describe, expect, inject, test } from 'vitest';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { allChanges, readerOf } from '../support/queue-readers.ts';

/*
 * Events of transactions that end in any order: with plain ones of the tests' own, which write to the stream as
 * BullMQ's functions do. Who reads on from the greatest id that he saw loses some: that is looked at too,
 * lest these tests prove nothing.
 */

const backend = BACKENDS['BullMQ 6 on Postgres']!;

async function connect(): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: inject('parts').connectionString });
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** A queue and a reader that stands at its beginning, once BullMQ's tables are there. */
async function start() {
  const at = newQueueOn(backend);
  await at.queue.waitUntilReady();
  const reader = readerOf(at.queue);
  const publish = (on: Client, jobId: string) =>
    on.query(`select bullmq.publish_event($1, 'waiting', jsonb_build_object('jobId', $2::text))`, [
      at.name,
      jobId,
    ]);
  return { at, reader, cursor: await reader.lastCursor(), publish };
}

/** As BullMQ writes a job before it tells of it, so that the transaction has its id. */
async function begin(client: Client): Promise<void> {
  await client.query('begin');
  await client.query('select pg_current_xact_id()');
}

describe('on Postgres', () => {
  test('what commits late is read, whatever was read before it', async () => {
    const { at, reader, cursor, publish } = await start();
    await using _ = at;
    await using first = await connect();
    await using second = await connect();
    await using long = await connect();
    await begin(long);
    await publish(long, 'long');
    await begin(first);
    await publish(first, 'first');
    await begin(second);
    await publish(second, 'second');

    await second.query('commit');
    let seen = await reader.changes(cursor, 10);
    expect(seen.jobs).toMatchObject([{ jobId: 'second' }]);
    for (let look = 0; look < 3; look += 1) {
      seen = await reader.changes(seen.cursor, 10);
      expect(seen.jobs).toEqual([]);
    }
    await first.query('commit');
    seen = await reader.changes(seen.cursor, 10);
    expect(seen.jobs).toMatchObject([{ jobId: 'first' }]);

    // However much happens while one is open.
    for (let n = 0; n < 50; n += 1) {
      await publish(second, `more-${n}`);
      seen = await reader.changes(seen.cursor, 10);
      expect(seen.jobs).toMatchObject([{ jobId: `more-${n}` }]);
    }
    await long.query('commit');
    seen = await reader.changes(seen.cursor, 10);
    expect(seen.jobs).toMatchObject([{ jobId: 'long' }]);

    // With nobody left the place is short again.
    await publish(second, 'last');
    seen = await reader.changes(seen.cursor, 10);
    expect(seen.jobs).toMatchObject([{ jobId: 'last' }]);
    await expect
      .poll(async () => {
        seen = await reader.changes(seen.cursor, 10);
        return JSON.parse(seen.cursor)[1];
      })
      .toEqual([]);
  });

  test('a place taken while others are open does not pass them over', async () => {
    const { at, reader, publish } = await start();
    await using _ = at;
    await using early = await connect();
    await using other = await connect();
    await begin(early);
    await publish(early, 'early');
    await publish(other, 'before');
    const cursor = await reader.lastCursor();
    const seen = await reader.changes(cursor, 10);
    expect(seen.jobs).toEqual([]);
    await early.query('commit');
    expect((await reader.changes(seen.cursor, 10)).jobs).toMatchObject([{ jobId: 'early' }]);
    expect((await reader.changes(cursor, 10)).jobs).toMatchObject([{ jobId: 'early' }]);
  });

  test('a transaction that got its id after the place’s newest event was written is waited for', async () => {
    const { at, reader, cursor, publish } = await start();
    await using _ = at;
    await using older = await connect();
    await using younger = await connect();
    // The younger transaction has the lower event: so the newest that is seen tells nothing of it.
    await begin(older);
    await begin(younger);
    await publish(younger, 'younger');
    await publish(older, 'older');
    await older.query('commit');
    let seen = await reader.changes(cursor, 10);
    expect(seen.jobs).toMatchObject([{ jobId: 'older' }]);
    for (let look = 0; look < 3; look += 1) seen = await reader.changes(seen.cursor, 10);
    await younger.query('commit');
    expect((await reader.changes(seen.cursor, 10)).jobs).toMatchObject([{ jobId: 'younger' }]);
  });

  test('savepoints', async () => {
    const { at, reader, cursor, publish } = await start();
    await using _ = at;
    await using saved = await connect();
    await using other = await connect();
    await begin(saved);
    await saved.query('savepoint a');
    await publish(saved, 'kept');
    await saved.query('release savepoint a');
    await saved.query('savepoint b');
    await publish(saved, 'undone');
    await saved.query('rollback to savepoint b');
    let seen: { cursor: string; jobs: unknown } = { cursor, jobs: [] };
    for (let n = 0; n < 3; n += 1) {
      await publish(other, `other-${n}`);
      seen = await reader.changes(seen.cursor, 10);
      expect(seen.jobs).toMatchObject([{ jobId: `other-${n}` }]);
    }
    await saved.query('commit');
    expect((await reader.changes(seen.cursor, 10)).jobs).toMatchObject([{ jobId: 'kept' }]);
  });

  test.each([1, 7, 1_000])(
    'many at once, some undone, in looks of %i: each is read once',
    async (limit) => {
      const { at, reader, cursor, publish } = await start();
      await using _ = at;
      await using own = await connect();
      const committed: string[] = [];
      let isOver = false;

      async function write(writer: number): Promise<void> {
        await using client = await connect();
        for (let turn = 0; turn < 40; turn += 1) {
          await begin(client);
          const ids: string[] = [];
          for (let n = 0; n <= turn % 3; n += 1) {
            if (n === 1) await client.query('savepoint s');
            ids.push(`${writer}-${turn}-${n}`);
            await publish(client, ids.at(-1)!);
            if (Math.random() < 0.5) await sleep(Math.random() * 8);
          }
          const isUndone = Math.random() < 0.2;
          await client.query(isUndone ? 'rollback' : 'commit');
          if (!isUndone) committed.push(...ids);
        }
      }

      const read: string[] = [];
      async function follow(): Promise<void> {
        let place = cursor;
        for (let rest = 4; rest > 0; rest -= isOver ? 1 : 0) {
          const all = await allChanges(reader, place, limit);
          place = all.cursor;
          read.push(...all.jobs.map(({ jobId }) => jobId));
        }
        // Nothing is kept once there is nobody left to wait for.
        expect(JSON.parse(place)[1].length).toBeLessThanOrEqual(committed.length / 10);
      }

      const naive: string[] = [];
      async function followNaively(): Promise<void> {
        let greatest = 0;
        for (let rest = 2; rest > 0; rest -= isOver ? 1 : 0) {
          const { rows } = await own.query<{ id: string; job: string }>(
            `select id, data ->> 'jobId' as job from bullmq.event
             where queue = $1 and id > $2 order by id`,
            [at.name, greatest],
          );
          naive.push(...rows.map(({ job }) => job));
          greatest = Number(rows.at(-1)?.id ?? greatest);
        }
      }

      const following = Promise.all([follow(), followNaively()]);
      await Promise.all([1, 2, 3, 4, 5, 6].map(write));
      isOver = true;
      await following;
      expect(read.toSorted()).toEqual(committed.toSorted());
      expect(naive.length).toBeLessThan(committed.length);
    },
  );

  test('a wait wakes for what commits late', async () => {
    const { at, reader, cursor, publish } = await start();
    await using _ = at;
    await using late = await connect();
    await using other = await connect();
    await begin(late);
    await publish(late, 'late');
    await publish(other, 'other');
    const seen = await reader.changes(cursor, 10);
    let isAwake = false;
    const { signal } = new AbortController();
    const wait = reader.waitForChange(seen.cursor, 10_000, signal).then(() => (isAwake = true));
    await sleep(600);
    expect(isAwake).toBe(false);
    await late.query('commit');
    await wait;
    expect((await reader.changes(seen.cursor, 10)).jobs).toMatchObject([{ jobId: 'late' }]);
  });

  test('old events are not gone through again and again while somebody’s transaction is open', async () => {
    const { at, reader, cursor } = await start();
    await using _ = at;
    await using open = await connect();
    await begin(open);
    await using writer = await connect();
    // As many as BullMQ keeps several times over, trimmed as it trims.
    await writer.query(
      `do $$ begin for n in 1 .. 60000 loop
         perform bullmq.publish_event('${at.name}', 'waiting', jsonb_build_object('jobId', n % 100));
         if n % 1000 = 0 then commit; end if;
       end loop; end $$`,
    );
    let seen = await allChanges(reader, cursor, 5_000);
    expect(seen.jobs.length).toBeGreaterThan(0);
    let ms = Infinity;
    for (let look = 0; look < 10; look += 1) {
      const started = performance.now();
      seen = await allChanges(reader, seen.cursor, 5_000);
      ms = Math.min(ms, performance.now() - started);
    }
    expect(JSON.parse(seen.cursor)[1].length).toBeLessThanOrEqual(10_500);
    expect(ms).toBeLessThan(250);
  });
});

import type { JobsOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { describe, expect, inject, test } from 'vitest';
import { createQueueReader } from '../../src/queue/create.ts';
import { runSql } from '../parts/index.ts';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { look, readerOf, type TestQueue } from '../support/queue-readers.ts';

describe.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  async function add(at: TestQueue, options: JobsOptions = {}, data: unknown = { n: 1 }) {
    return (await at.queue.add('job', data, options)).id!;
  }

  test.each([
    ['an id of one’s own'],
    ['ä€😀'],
    ["'); drop table job; --"],
    ['{braces}'],
    ['1e5'],
    ['a\nb\t"c"\\'],
    ['x'.repeat(2_000)],
  ])('the id %j', async (jobId) => {
    await using at = newQueueOn(backend);
    await add(at, { jobId });
    expect((await look(at, jobId)).job.id).toBe(jobId);
    expect(await readerOf(at.queue).unfinishedIds()).toEqual([jobId]);
  });

  test.each([[null], [''], [0], [[]], [{ 'a:b': ['😀', { x: null }] }], ['{"json":1}'], [1e300]])(
    'data of %j',
    async (data) => {
      await using at = newQueueOn(backend);
      // On Postgres BullMQ's workers get `{}` for null.
      const expected = backend.hasPrefix ? data : (data ?? {});
      expect((await look(at, await add(at, {}, data))).job.data).toEqual(expected);
    },
  );

  test('ids of nothing, and of what is no job, are not found, and harm no other', async () => {
    await using at = newQueueOn(backend);
    const id = await add(at);
    await add(at, { delay: 1_000 });
    await add(at, { priority: 1 });
    await (await at.queue.getJob(id))?.log('a line');
    const strange = [
      '',
      'nope',
      '\0',
      '\ud800',
      'meta',
      'wait',
      'delayed',
      'events',
      'id',
      `${id}:logs`,
    ];
    const jobs = await readerOf(at.queue).read([...strange, id, ...strange]);
    expect([...jobs.keys()]).toEqual([id]);
    expect(await readerOf(at.queue).read([])).toEqual(new Map());
  });

  test('a job that is gone is not found', async () => {
    await using at = newQueueOn(backend);
    const id = await add(at);
    await at.queue.remove(id);
    expect(await readerOf(at.queue).read([id])).toEqual(new Map());
  });

  test('another queue of the same ids is another queue', async () => {
    await using at = newQueueOn(backend);
    await using other = newQueueOn(backend);
    await add(at, { jobId: 'same' }, 'ours');
    await add(other, { jobId: 'same', delay: 5_000 }, 'theirs');
    expect((await look(at, 'same')).job.data).toBe('ours');
    expect((await look(other, 'same')).job.data).toBe('theirs');
  });
});

describe.each(Object.entries(BACKENDS).filter(([, { hasPrefix }]) => hasPrefix))(
  '%s',
  (_, backend) => {
    test.each(['eu:west', '{cluster}', 'ünï'])('the prefix %s', async (prefix) => {
      await using at = newQueueOn(backend, { prefix });
      const flow = await at.flow.add({
        name: 'parent',
        queueName: at.name,
        prefix,
        children: [{ name: 'child', queueName: at.name, prefix }],
      });
      const childId = flow.children![0]!.job.id!;
      expect(await look(at, childId)).toMatchObject({
        job: { parent: { id: flow.job.id, queueKey: `${prefix}:${at.name}` } },
      });
      expect((await look(at, flow.job.id!)).children).toEqual([
        { queue: `${prefix}:${at.name}`, jobId: childId },
      ]);
    });
  },
);

describe('what BullMQ did not write so', () => {
  test('fields that can’t be read cost no job, on Redis', async () => {
    await using at = newQueueOn(BACKENDS['BullMQ 6']!);
    const redis = new Redis(inject('parts').redis);
    const key = at.queue.toKey('odd');
    await redis.hset(key, {
      name: 'n',
      timestamp: '1700000000000',
      data: '{',
      opts: '[1',
      progress: 'x',
    });
    await redis.hset(key, {
      stacktrace: '{"no":1}',
      returnvalue: 'undefined',
      parent: '"p"',
      ats: 'one',
    });
    await redis.hset(key, { parentKey: 'bull:parents:7', attemptsMade: '2', processedOn: '' });
    const { job, result, state } = (await readerOf(at.queue).read(['odd'])).get('odd')!;
    expect({ job, result, state }).toMatchObject({
      state: 'waiting',
      result: undefined,
      job: {
        data: {},
        opts: { attempts: 0 },
        progress: 0,
        stacktrace: [],
        attemptsStarted: 0,
        attemptsMade: 2,
        parent: { id: '7', queueKey: 'bull:parents' },
      },
    });
    expect(job.processedOn).toBeUndefined();

    // What is written to a job that is gone makes a hash of its own.
    await redis.hset(at.queue.toKey('stray'), { progress: '50', ats: '1' });
    await redis.hset(at.queue.toKey('stray2'), { name: 'n' });
    await redis.set(at.queue.toKey('string'), 'x');
    expect(await readerOf(at.queue).read(['stray', 'stray2', 'string'])).toEqual(new Map());

    await redis.lpush(at.queue.toKey('wait'), '0:0', '0:1700000000000');
    expect(await readerOf(at.queue).unfinishedIds()).toEqual([]);
    redis.disconnect();
  });

  test('more ended jobs than one request gives, and one that ends meanwhile, in Redis', async () => {
    await using at = newQueueOn(BACKENDS['BullMQ 6']!);
    const redis = new Redis({ ...inject('parts').redis });
    const completed = at.queue.toKey('completed');
    const members = Array.from({ length: 25_000 }, (_, n) => [1_000 + n, `j${n}`]).flat();
    await redis.zadd(completed, ...members);
    const asked = readerOf(at.queue).endedSince(1_100);
    await redis.zadd(completed, 99_999, 'meanwhile');
    const ended = new Map(await asked);
    ended.delete('meanwhile');
    expect(ended.size).toBe(24_900);
    expect(ended.get('j100')).toBe(1_100);
    redis.disconnect();
  });

  test('jsonb of any kind costs no job, on Postgres', async () => {
    await using at = newQueueOn(BACKENDS['BullMQ 6 on Postgres']!);
    const { id } = await at.queue.add('job', {});
    await runSql(
      inject('parts').connectionString,
      `update bullmq.job set opts = '[]', stacktrace = '{}', progress = '"half"', return_value = '0'
       where queue = '${at.name}'`,
    );
    const seen = (await readerOf(at.queue).read([id!])).get(id!);
    expect(seen).toMatchObject({
      result: 0,
      job: { opts: { attempts: 0 }, stacktrace: [], progress: 'half' },
    });
  });
});

test('a schema of another name, and a program’s own pool, on Postgres', async () => {
  const backend = BACKENDS['BullMQ 6 on Postgres']!;
  const { connectionString } = inject('parts');
  const own = { connectionString, migrate: true, max: 2, schema: 'Jobs$1' };
  await using elsewhere = newQueueOn({ ...backend, connection: () => own });
  const reader = readerOf(elsewhere.queue);
  // Before anything else is asked, there are no tables.
  expect(await reader.unfinishedIds()).toEqual([]);
  const { id } = await elsewhere.queue.add('job', {});
  expect([...(await reader.read([id!])).keys()]).toEqual(await reader.unfinishedIds());
  expect((await reader.changes('[0,[],null,null]', 10)).jobs).toMatchObject([{ jobId: id }]);

  await using there = newQueueOn(backend);
  await there.queue.waitUntilReady();
  const pool = new Pool({ connectionString, options: '-c search_path=bullmq' });
  {
    await using pooled = newQueueOn({ ...backend, connection: () => pool }, { name: there.name });
    const job = await pooled.queue.add('job', {});
    expect([...(await readerOf(pooled.queue).read([job.id!])).keys()]).toEqual([job.id]);
    expect(await readerOf(there.queue).unfinishedIds()).toEqual([job.id]);
  }
  await pool.end();
});

describe('what can’t be read', () => {
  test.each([
    [{ name: 'q' }],
    [{ name: 'q', client: Promise.resolve({}) }],
    [{ name: 'q', toKey: String, client: {} }],
    [{ name: 'q', toKey: String, getBackend: () => undefined }],
    [{ name: 'q', toKey: String, getBackend: () => ({ connection: { pool: {} } }) }],
    [
      {
        name: 'q',
        getBackend: () => ({ connection: { schema: 's', waitUntilReady() {}, pool: {} } }),
      },
    ],
  ])('%j has no reader', (owner) => {
    expect(createQueueReader(owner)).toBeUndefined();
  });

  test.each(Object.entries(BACKENDS))(
    '%s: a queue that is closed, at once',
    async (__, backend) => {
      await using at = newQueueOn(backend, { name: `closed-${randomUUID()}` });
      const worker = at.worker(async () => {});
      await Promise.all([at.queue.waitUntilReady(), worker.waitUntilReady()]);
      const readers = [readerOf(at.queue), readerOf(worker)];
      const cursor = await readers[0]!.lastCursor();
      await Promise.all([at.queue.close(), worker.close()]);
      for (const reader of readers) {
        const started = performance.now();
        await expect(reader.read(['1'])).rejects.toThrow(/closed|after calling end/i);
        await expect(reader.unfinishedIds()).rejects.toThrow(/closed|after calling end/i);
        await expect(reader.lastCursor()).rejects.toThrow(/closed|after calling end/i);
        await expect(reader.changes(cursor, 10)).rejects.toThrow(/closed|after calling end/i);
        await reader.waitForChange(cursor, 100, new AbortController().signal);
        reader.close();
        expect(performance.now() - started).toBeLessThan(1_000);
      }
    },
  );

  test.each(Object.entries(BACKENDS))(
    '%s: one that never got a connection',
    async (__, backend) => {
      const connection = backend.hasPrefix
        ? { host: '127.0.0.1', port: 1 }
        : { connectionString: 'postgres://nobody@127.0.0.1:1/nowhere' };
      const at = newQueueOn({ ...backend, connection: () => connection });
      const reader = readerOf(at.queue);
      const before = reader.read(['1']).catch((error: Error) => error);
      const place = backend.hasPrefix ? '0-0' : '[0,[],null,null]';
      const waiting = reader.waitForChange(place, 20_000, new AbortController().signal);
      await sleep(300);
      await at.queue.close();
      const started = performance.now();
      await expect(reader.read(['1'])).rejects.toThrow(/closed|after calling end|ECONNREFUSED/i);
      expect(await before).toBeInstanceOf(Error);
      if (backend.hasPrefix) await waiting;
      reader.close();
      await waiting;
      expect(performance.now() - started).toBeLessThan(1_500);
    },
  );
});

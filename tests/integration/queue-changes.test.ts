import fc from 'fast-check';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, test } from 'vitest';
import { lastOfEach, MOVES, toChange } from '../../src/queue/fields.ts';
import { runSql } from '../parts/index.ts';
import { BACKENDS, ended, newQueueOn } from '../support/queues.ts';
import { allChanges, readerOf } from '../support/queue-readers.ts';

describe.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  test('each job that changed, by its last event, in the order of these', async () => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    await at.queue.add('before', {});
    const cursor = await reader.lastCursor();
    expect(await reader.changes(cursor, 10)).toMatchObject({ jobs: [], hasMore: false });

    const waits = await at.queue.add('waits', {});
    const delayed = await at.queue.add('delayed', {}, { delay: 60_000 });
    const first = await reader.changes(cursor, 10);
    expect(first).toMatchObject({
      jobs: [
        { jobId: waits.id, event: 'waiting' },
        { jobId: delayed.id, event: 'delayed' },
      ],
      hasMore: false,
    });
    for (const { on, value } of first.jobs) {
      expect(Math.abs(on - Date.now())).toBeLessThan(5_000);
      expect(value).toBeUndefined();
    }

    await waits.remove();
    await delayed.promote();
    const second = await reader.changes(first.cursor, 10);
    expect(second.jobs.map(({ jobId, event }) => [jobId, event])).toEqual([
      // On Postgres BullMQ tells nobody that a job was removed.
      ...(backend.hasPrefix ? [[waits.id, 'removed']] : []),
      [delayed.id, 'waiting'],
    ]);
    expect((await reader.changes(second.cursor, 10)).jobs).toEqual([]);
    // A place is a place for whoever reads on from it.
    const worker = at.worker(async () => {});
    // Closed while it still connects, BullMQ 5's leaves a rejection that nobody handles.
    await worker.waitUntilReady();
    const other = await readerOf(worker).changes(cursor, 10);
    expect(new Set(other.jobs.map(({ jobId }) => jobId))).toEqual(new Set([waits.id, delayed.id]));
  });

  test('how jobs ended, whatever was said of them after', async () => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    const worker = at.worker(async (job) => {
      if (job.name === 'fails') throw new Error('no');
      return job.data;
    });
    const end = ended(worker, 7);
    const results = [0, '', false, null, { a: 'ü' }];
    const done = await at.queue.addBulk(
      results.map((data) => ({ name: 'done', data, opts: { removeOnComplete: true } })),
    );
    const late = await at.queue.add('late', 'kept');
    // Two attempts: with the last, BullMQ says that there are no more.
    const failed = await at.queue.add('fails', {}, { attempts: 2 });
    void worker.run();
    await end;
    await worker.close();
    await late.updateProgress(100);
    await late.remove();

    const { jobs } = await allChanges(reader, cursor);
    const told = new Map(jobs.map((change) => [change.jobId, change]));
    expect(told.size).toBe(jobs.length);
    for (const [at_, { id }] of done.entries()) {
      // On Postgres BullMQ's workers get `{}` for null.
      const value = backend.hasPrefix ? results[at_] : (results[at_] ?? {});
      expect(told.get(id!)).toMatchObject({ event: 'completed', value });
    }
    expect(told.get(late.id!)).toMatchObject({ event: 'completed', value: 'kept' });
    expect(told.get(failed.id!)).toMatchObject({ event: 'failed', value: 'no' });
  });

  test('a job that is added again, or retried, has not ended', async () => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    const worker = at.worker(async (job) => {
      if (job.name === 'fails') throw new Error('no');
    });
    const end = ended(worker, 2);
    const failed = await at.queue.add('fails', {});
    await at.queue.add('done', {}, { jobId: 'again', removeOnComplete: true });
    void worker.run();
    await end;
    await worker.close();
    await at.queue.add('done', {}, { jobId: 'again' });
    await failed.retry();
    const { jobs } = await allChanges(reader, cursor);
    expect(jobs.map(({ jobId, event }) => [jobId, event])).toEqual([
      ['again', 'waiting'],
      [failed.id, 'waiting'],
    ]);
  });

  test('what is said of no job, or of one of which nothing else is', async () => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    const { id } = await at.queue.add('job', {}, { deduplication: { id: 'd' } });
    const cursor = await reader.lastCursor();
    await at.queue.pause();
    await at.queue.resume();
    const events = at.producer();
    await events.publishEvent({ eventName: 'custom', text: 'of no job' } as never);
    expect((await reader.changes(cursor, 10)).jobs).toEqual([]);
    await events.publishEvent({ eventName: 'custom', jobId: 'a', returnvalue: '1' } as never);
    await at.queue.add('job', {}, { deduplication: { id: 'd' } });
    const { jobs } = await reader.changes(cursor, 10);
    expect(jobs).toMatchObject([{ jobId: 'a', event: 'custom' }, { jobId: id }]);
    expect(jobs[0]?.value).toBeUndefined();
  });

  test.each([1, 3, 20, 21])('in looks of %i events each is read once', async (limit) => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    // Each is added, then waits.
    const jobs = await at.queue.addBulk(
      Array.from({ length: 10 }, () => ({ name: 'job', data: 1 })),
    );
    const all = await allChanges(reader, cursor, limit);
    expect(all.looks).toBe(Math.floor(20 / limit) + 1);
    const waiting = all.jobs.filter(({ event }) => event === 'waiting');
    expect(waiting.map(({ jobId }) => jobId)).toEqual(jobs.map(({ id }) => id));
    expect((await reader.changes(all.cursor, limit)).jobs).toEqual([]);
  });

  test('what was trimmed, or obliterated, is passed over; what follows is read', async () => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    await at.queue.add('first', {});
    const cursor = await reader.lastCursor();
    await at.queue.add('trimmed', {});
    if (backend.hasPrefix) await at.queue.trimEvents(0);
    else
      await runSql(
        inject('parts').connectionString,
        `delete from bullmq.event where queue = '${at.name}'`,
      );
    expect(await reader.changes(cursor, 10)).toMatchObject({ jobs: [], hasMore: false });
    const after = await at.queue.add('after', {});
    const next = await reader.changes(cursor, 10);
    expect(next.jobs).toMatchObject([{ jobId: after.id, event: 'waiting' }]);

    await at.queue.obliterate({ force: true });
    expect((await reader.changes(next.cursor, 10)).jobs).toEqual([]);
    // A stream that begins anew in the same millisecond gives the same ids.
    await sleep(2);
    const anew = await at.queue.add('anew', {});
    expect((await reader.changes(next.cursor, 10)).jobs).toMatchObject([{ jobId: anew.id }]);
    expect((await reader.changes(await reader.lastCursor(), 10)).jobs).toEqual([]);
  });

  test('events that began anew below the place are read', async () => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    const { id } = await at.queue.add('job', {});
    const place = backend.hasPrefix ? `${Date.now() + 60_000}-0` : '[1000000000,[],null,null]';
    expect((await allChanges(reader, place)).jobs).toMatchObject([{ jobId: id }]);
  });

  test('a queue in which nothing has happened yet has a place too', async () => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    expect(await reader.changes(cursor, 1)).toMatchObject({ jobs: [], hasMore: false });
    const { id } = await at.queue.add('job', {});
    expect((await allChanges(reader, cursor)).jobs).toMatchObject([{ jobId: id }]);
  });

  test('under load every end is told', async () => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    let cursor = await reader.lastCursor();
    const workers = [1, 2].map(() => at.worker(async (job) => job.data, { concurrency: 20 }));
    const count = 2_000;
    const ends = workers.map((worker) => {
      const seen = { count: 0 };
      worker.on('completed', () => void (seen.count += 1));
      return seen;
    });
    await at.queue.addBulk(
      Array.from({ length: count }, (__, n) => ({
        name: 'job',
        data: n,
        opts: { removeOnComplete: true },
      })),
    );
    const told = new Map<string, unknown>();
    const take = async () => {
      const all = await allChanges(reader, cursor, 5_000);
      ({ cursor } = all);
      for (const { jobId, event, value } of all.jobs)
        if (event === 'completed') told.set(jobId, value);
    };
    for (const worker of workers) void worker.run();
    while (ends.reduce((sum, each) => sum + each.count, 0) < count) await take();
    await take();
    expect(new Set(told.values()).size).toBe(count);
    // What is read is forgotten.
    expect(cursor.length).toBeLessThan(20_000);
  });
});

test('of any events Redis leaves the same as we do', async () => {
  await using at = newQueueOn(BACKENDS['BullMQ 6']!);
  const redis = new Redis(inject('parts').redis);
  using _ = { [Symbol.dispose]: () => redis.disconnect() };
  const reader = readerOf(at.queue);
  const names = [
    ...MOVES,
    'progress',
    'stalled',
    'retries-exhausted',
    'deduplicated',
    'drained',
    'own',
  ];
  const event = fc.record({
    jobId: fc.constantFrom('1', '2', 'repeat:s:3', undefined),
    event: fc.constantFrom(...names),
    value: fc.constantFrom('0', '"text"', '{', 'no', ''),
  });
  const runs = fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
    const stream = at.queue.toKey('events');
    await redis.del(stream);
    const pipeline = redis.pipeline();
    for (const [n, { jobId, event, value }] of events.entries()) {
      const field = event === 'failed' ? 'failedReason' : 'returnvalue';
      const about = jobId === undefined ? [] : ['jobId', jobId];
      pipeline.xadd(stream, `${n + 1}-0`, 'event', event, ...about, field, value);
    }
    await pipeline.exec();
    const raw = events.flatMap(({ jobId, event, value }, n) => {
      const isEnd = event === 'completed' || event === 'failed';
      return jobId === undefined ? [] : [{ jobId, event, on: n + 1, value: isEnd ? value : null }];
    });
    expect(await reader.changes('0-0', 1_000)).toEqual({
      cursor: `${events.length}-0`,
      jobs: lastOfEach(raw).map(toChange),
      hasMore: false,
    });
  });
  await fc.assert(runs, { numRuns: 300 });
});

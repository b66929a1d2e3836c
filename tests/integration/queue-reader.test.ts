import type { JobsOptions } from 'bullmq';
import { describe, expect, test } from 'vitest';
import { BACKENDS, ended, newQueueOn } from '../support/queues.ts';
import { look, readerOf, type TestQueue } from '../support/queue-readers.ts';

describe.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  async function add(at: TestQueue, options: JobsOptions = {}, data: unknown = { n: 1 }) {
    return (await at.queue.add('job', data, options)).id!;
  }

  test.each<[state: string, options: JobsOptions]>([
    ['waiting', {}],
    ['prioritized', { priority: 3 }],
    ['delayed', { delay: 60_000 }],
    ['delayed', { delay: 60_000, priority: 3 }],
  ])('a %s job (%j)', async (state, options) => {
    await using at = newQueueOn(backend);
    const seen = await look(at, await add(at, { ...options, attempts: 4, backoff: 1_000 }));
    expect(seen).toMatchObject({
      state,
      result: undefined,
      delayedUntil: options.delay === undefined ? null : seen.job.timestamp + options.delay,
      children: [],
      job: { attemptsStarted: 0, attemptsMade: 0, data: { n: 1 }, opts: { attempts: 4 } },
    });
  });

  test('jobs of a queue that is paused wait', async () => {
    await using at = newQueueOn(backend);
    const before = await add(at);
    await at.queue.pause();
    const after = await add(at);
    for (const id of [before, after])
      expect(await look(at, id)).toMatchObject({ state: 'waiting' });
    expect(new Set(await readerOf(at.queue).unfinishedIds())).toEqual(new Set([before, after]));
  });

  test('jobs that ended since a time, and when', async () => {
    await using at = newQueueOn(backend);
    const worker = at.worker(async (job) => {
      if (job.data.n === 2) throw new Error('no');
    });
    const end = ended(worker, 3);
    const ids = [await add(at), await add(at, {}, { n: 2 }), await add(at)];
    void worker.run();
    await end;
    await add(at, { delay: 60_000 });
    const jobs = await Promise.all(ids.map((id) => at.queue.getJob(id)));
    const times = new Map(jobs.map((job) => [job!.id, job!.finishedOn!]));
    const last = Math.max(...times.values());
    expect(await readerOf(at.queue).endedSince(0)).toEqual(times);
    expect(new Set((await readerOf(at.queue).endedSince(last)).values())).toEqual(new Set([last]));
    expect(await readerOf(at.queue).endedSince(last + 1)).toEqual(new Map());
  });

  test('an active job, by its worker too', async () => {
    await using at = newQueueOn(backend);
    let finish = () => {};
    const worker = at.worker(() => new Promise<void>((resolve) => (finish = resolve)), {
      name: 'w1',
    });
    const end = ended(worker, 1);
    const active = new Promise((resolve) => worker.once('active', resolve));
    const id = await add(at);
    void worker.run();
    await active;
    const seen = await look(at, id);
    expect(seen).toMatchObject({ state: 'active', job: { attemptsStarted: 1, processedBy: 'w1' } });
    expect((await readerOf(worker).read([id])).get(id)).toEqual(seen);
    await (await at.queue.getJob(id))?.updateProgress({ done: 1 });
    expect(await look(at, id)).toMatchObject({ job: { progress: { done: 1 } } });
    finish();
    await end;
  });

  test.each([[0], [''], [false], [null], [undefined], [{ a: [1, 'ü\n'] }], ['null'], [-1.5]])(
    'a completed job that returned %j',
    async (result) => {
      await using at = newQueueOn(backend);
      const worker = at.worker(async () => result);
      const end = ended(worker, 1);
      const id = await add(at);
      void worker.run();
      await end;
      const expected = result === undefined ? null : result;
      expect(await look(at, id)).toMatchObject({ state: 'completed', result: expected });
    },
  );

  test('a job between two attempts, and one that failed for good', async () => {
    await using at = newQueueOn(backend);
    const worker = at.worker(async (job) => {
      throw job.name === 'last'
        ? new backend.bullmq.UnrecoverableError('no')
        : new Error('not yet');
    });
    const failures = new Promise<void>((resolve) => {
      let left = 3;
      worker.on('failed', () => --left === 0 && resolve());
    });
    const delayed = await add(at, { attempts: 3, backoff: 60_000 });
    const last = (await at.queue.add('last', {}, { attempts: 3 })).id!;
    const once = await add(at);
    void worker.run();
    await failures;
    const between = await look(at, delayed);
    expect(between).toMatchObject({
      state: 'delayed',
      job: { attemptsStarted: 1, attemptsMade: 1, failedReason: 'not yet', delay: 60_000 },
    });
    expect(between.job.stacktrace?.[0]).toContain('not yet');
    expect(between.delayedUntil! - between.job.processedOn!).toBeGreaterThanOrEqual(60_000);
    for (const [id, failedReason] of [
      [last, 'no'],
      [once, 'not yet'],
    ] as const) {
      expect(await look(at, id)).toMatchObject({
        state: 'failed',
        job: { failedReason, attemptsMade: 1 },
      });
    }
  });

  test('counts of starts and of attempts', async () => {
    await using at = newQueueOn(backend);
    let runs = 0;
    const worker = at.worker(async (job, token) => {
      runs += 1;
      if (runs === 1) {
        await job.moveToDelayed(Date.now(), token);
        throw new backend.bullmq.DelayedError();
      }
      if (runs < 4) throw new Error('again');
    });
    const end = new Promise((resolve) => worker.once('completed', resolve));
    const id = await add(at, { attempts: 5 });
    void worker.run();
    await end;
    expect(await look(at, id)).toMatchObject({ job: { attemptsStarted: 4, attemptsMade: 3 } });
  });

  test('a flow: the parent waits for its children, and each names the other', async () => {
    await using at = newQueueOn(backend);
    await using other = newQueueOn(backend);
    const flow = await at.flow.add({
      name: 'parent',
      queueName: at.name,
      children: [
        { name: 'a', queueName: at.name },
        { name: 'b', queueName: other.name, opts: { failParentOnFailure: true } },
        {
          name: 'c',
          queueName: other.name,
          opts: { ignoreDependencyOnFailure: true, priority: 2 },
        },
      ],
    });
    const parentId = flow.job.id!;
    const children = flow.children!.map(({ job }) => job);
    const keys = children.map(({ id, queueName }) => ({ queue: queueName, jobId: id! }));
    const sorted = (list: readonly { jobId: string }[]) =>
      list.toSorted((a, b) => (a.jobId < b.jobId ? -1 : 1));
    const parent = await look(at, parentId);
    expect(parent.state).toBe('waiting-children');
    expect(sorted(parent.children)).toEqual(sorted(keys));
    expect(await look(at, children[0]!.id!)).toMatchObject({
      job: { parent: { id: parentId, queueKey: at.queue.qualifiedName } },
    });
    for (const child of children.slice(1)) {
      expect(await look(other, child.id!)).toMatchObject({
        job: { parent: { id: parentId, queueKey: at.queue.qualifiedName } },
      });
    }

    // Whatever has become of them, it has them.
    const worker = other.worker(async (job) => {
      throw new backend.bullmq.UnrecoverableError(job.name);
    });
    const end = ended(worker, 2);
    void worker.run();
    await end;
    const own = at.worker(async () => 1);
    const last = ended(own, 2);
    void own.run();
    await last;
    const after = await look(at, parentId);
    expect(after.state).toBe('failed');
    expect(sorted(after.children)).toEqual(sorted(keys));
  });

  test.each([101, 999, 1_100])('of %i children, a hundred are told', async (length) => {
    await using at = newQueueOn(backend);
    const children = Array.from({ length }, () => ({ name: 'child', queueName: at.name }));
    const flow = await at.flow.add({ name: 'parent', queueName: at.name, children });
    const { children: told } = await look(at, flow.job.id!);
    expect(new Set(told.map(({ jobId }) => jobId)).size).toBe(100);
    expect(told.every(({ queue }) => queue === at.name)).toBe(true);
  });

  test('what a scheduler made, and what was deduplicated', async () => {
    await using at = newQueueOn(backend);
    const template = { name: 'tick', data: { of: 's1' } };
    const made = await at.queue.upsertJobScheduler('s1', { every: 60_000 }, template);
    expect(await look(at, made.id!)).toMatchObject({
      job: { id: expect.stringMatching(/^repeat:s1:\d+$/), repeatJobKey: 's1', data: { of: 's1' } },
    });
    const id = await add(at, { deduplication: { id: 'd:1', ttl: 60_000 } });
    expect(await look(at, id)).toMatchObject({ job: { deduplicationId: 'd:1' } });
  });

  test('all that has not ended, and nothing else', async () => {
    await using at = newQueueOn(backend);
    let finish = () => {};
    const worker = at.worker(async (job) => {
      if (job.name === 'hold') await new Promise<void>((resolve) => (finish = resolve));
    });
    await at.queue.add('done', {});
    const done = ended(worker, 1);
    void worker.run();
    await done;
    const active = new Promise((resolve) => worker.once('active', resolve));
    const ids = [(await at.queue.add('hold', {})).id!];
    await active;
    ids.push(await add(at), await add(at, { delay: 60_000 }), await add(at, { priority: 2 }));
    const flow = await at.flow.add({
      name: 'parent',
      queueName: at.name,
      children: [{ name: 'child', queueName: at.name }],
    });
    ids.push(flow.job.id!, flow.children![0]!.job.id!);
    expect((await readerOf(at.queue).unfinishedIds()).toSorted()).toEqual(ids.toSorted());
    finish();
  });
});

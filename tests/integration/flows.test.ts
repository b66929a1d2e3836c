import type { FlowJob, JobNode } from 'bullmq';
import {
  attachQueueTracking,
  attachStatusTracking,
  MemoryStatusStore,
  type JobKey,
} from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test } from 'vitest';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { agree } from '../support/truth.ts';

/* Flows of three levels, and what becomes of them when a child of a child fails. */

/** BullMQ's options for a child that fails, and where the job above it ends; the grandparent follows. */
const FAILURES = {
  'no option': { options: {}, parent: 'waiting-children', grandparent: 'waiting-children' },
  failParentOnFailure: {
    options: { failParentOnFailure: true },
    parent: 'failed',
    grandparent: 'failed',
  },
  continueParentOnFailure: {
    options: { continueParentOnFailure: true },
    parent: 'completed',
    grandparent: 'completed',
  },
  ignoreDependencyOnFailure: {
    options: { ignoreDependencyOnFailure: true },
    parent: 'completed',
    grandparent: 'completed',
  },
  removeDependencyOnFailure: {
    options: { removeDependencyOnFailure: true },
    parent: 'completed',
    grandparent: 'completed',
  },
} as const;

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  test.for(Object.entries(FAILURES))(
    'a grandchild fails with %s',
    async ([, scenario], { expect }) => {
      const { options, ...expected } = scenario;
      const store = new MemoryStatusStore();
      await using stage = newQueueOn(backend);
      const { name: queueName, queue, flow } = stage;
      const tracker = attachQueueTracking(queue, store);
      await tracker.flush();

      const job = (name: string, more: Partial<FlowJob> = {}): FlowJob => ({
        name,
        queueName,
        ...more,
      });
      const tree = await flow.add(
        job('grandparent', {
          children: [
            job('parent', {
              opts: options,
              children: [job('fails', { opts: options })],
            }),
            job('passes too'),
          ],
        }),
      );
      const nodes = new Map<string, JobNode>();
      const walk = (node: JobNode) => {
        nodes.set(node.job.name, node);
        node.children?.forEach(walk);
      };
      walk(tree);
      await agree(store, queue, 4);
      const rowOf = (name: string) =>
        store.get({ queue: queueName, jobId: String(nodes.get(name)?.job.id) });
      const keysOf = (...names: string[]) =>
        names.map((name) => ({ queue: queueName, jobId: String(nodes.get(name)?.job.id) }));

      // Who belongs to whom, from the beginning on.
      expect(await rowOf('grandparent')).toMatchObject({
        status: 'waiting-children',
        parent: null,
        children: expect.arrayContaining(keysOf('parent', 'passes too')),
      });
      expect(await rowOf('parent')).toMatchObject({
        parent: keysOf('grandparent')[0],
        children: keysOf('fails'),
      });

      const worker = stage.worker(async (each) => {
        if (each.name === 'fails') throw new Error('no');
        return each.name;
      });
      attachStatusTracking(worker, store);
      void worker.run();
      await expect.poll(async () => (await rowOf('fails'))?.status).toBe('failed');
      for (const [name, status] of Object.entries(expected)) {
        await expect.poll(async () => (await rowOf(name))?.status, { timeout: 5_000 }).toBe(status);
      }
      await agree(store, queue, 4);
      expect(await rowOf('fails')).toMatchObject({ parent: keysOf('parent')[0], children: null });
      // The worker knows nothing of children, and takes none away.
      expect((await rowOf('grandparent'))?.children).toHaveLength(2);
      await tracker.close();
    },
  );

  test('a parent that adds children while it runs, and waits for them by WaitingChildrenError', async ({
    expect,
  }) => {
    const store = new MemoryStatusStore();
    await using stage = newQueueOn(backend);
    const { name, queue } = stage;
    attachQueueTracking(queue, store);
    const seen = async (key: JobKey) => {
      while ((await store.get(key))?.status !== 'waiting-children') await sleep(10);
    };
    const worker = stage.worker(
      async (job, token = '') => {
        // Until the parent was seen waiting for it.
        if (job.name === 'child') await seen({ queue: name, jobId: job.parent!.id! });
        if (job.name === 'child' || job.attemptsStarted > 1) return job.name;
        await queue.add('child', {}, { parent: { id: job.id!, queue: job.queueQualifiedName } });
        if (await job.moveToWaitingChildren(token)) throw new backend.bullmq.WaitingChildrenError();
        return 'no children';
      },
      { concurrency: 2 },
    );
    attachStatusTracking(worker, store);
    const { id: jobId = '' } = await queue.add('parent', {});
    void worker.run();
    await expect
      .poll(() => store.get({ queue: name, jobId }), { timeout: 15_000 })
      .toMatchObject({ status: 'completed', result: 'parent', attempt: 2, attemptsMade: 1 });
    await agree(store, queue, 2);
    expect(await store.attempts({ queue: name, jobId })).toMatchObject([
      { attempt: 1, outcome: 'requeued', error: null },
      { attempt: 2, outcome: 'completed' },
    ]);
  });

  test('ids that hold colons name the same jobs as theirs do', async ({ expect }) => {
    const store = new MemoryStatusStore();
    await using stage = newQueueOn(backend, backend.hasPrefix ? { prefix: 'eu:west' } : {});
    const { name: queueName, queue } = stage;
    const tracker = attachQueueTracking(queue, store);
    const tree = await stage.flow.add({
      name: 'parent',
      queueName,
      prefix: 'eu:west',
      opts: { jobId: 'tenant:7:export' },
      children: [{ name: 'child', queueName, prefix: 'eu:west', opts: { jobId: 'tenant:7:page' } }],
    });
    expect(tree.children).toHaveLength(1);
    await tracker.flush();
    const key = backend.hasPrefix ? `eu:west:${queueName}` : queueName;
    const [parent, child] = ['tenant:7:export', 'tenant:7:page'].map((jobId) => ({
      queue: key,
      jobId,
    }));
    expect(await store.get(parent!)).toMatchObject({ children: [child], parent: null });
    expect(await store.get(child!)).toMatchObject({ children: null, parent });
  });
});

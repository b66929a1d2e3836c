import type { Job, Worker } from 'bullmq';
import {
  attachQueueTracking,
  attachStatusTracking,
  MemoryStatusStore,
  reconcile,
  type JobStatus,
} from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test, type TestContext } from 'vitest';
import { broken } from '../../src/testing/law.ts';
import { BACKENDS, newQueueOn, type Backend } from '../support/queues.ts';
import type { Transition } from '../support/transition.ts';
import { TRANSITIONS } from '../support/transitions.ts';

/* Each transition, on each backend, told by each who may tell of it alone. */

type Teller = 'the worker' | 'the queue' | 'reconcile';

/** Who can tell of a transition by itself. */
function tellersOf(transition: Transition, { hasPrefix }: Backend): Teller[] {
  const { isBeforeWorker, isForgotten, isSilentOnPostgres, isSilent } = transition;
  const tells = {
    'the worker': !isBeforeWorker,
    'the queue': !isSilent && (hasPrefix || !isSilentOnPostgres),
    reconcile: !isForgotten,
  };
  return (['the worker', 'the queue', 'reconcile'] as const).filter((teller) => tells[teller]);
}

/** How soon the row must be right, in ms: some times what it takes, for tests run beside each other. */
const SOON = 5_000;

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  async function tell(
    teller: Teller,
    { happen, row }: Transition,
    { expect }: TestContext,
  ): Promise<void> {
    const store = new MemoryStatusStore();
    await using stage = newQueueOn(backend);
    const { queue } = stage;
    const tracker = teller === 'the queue' ? attachQueueTracking(queue, store) : undefined;
    const lookAtQueue = async () => {
      await tracker?.flush();
      if (teller === 'reconcile') await reconcile(queue, store, { olderThan: 0 });
    };
    // Not waiting for jobs that never end.
    await using workers = new AsyncDisposableStack();

    const job = await happen({
      queue,
      async add(options) {
        const added = await queue.add('job', { n: 1 }, options);
        // So that there is a row when the job is gone at once.
        await lookAtQueue();
        return added;
      },
      work(process, options) {
        const worker: Worker = stage.worker(process, { autorun: true, ...options });
        workers.defer(() => worker.close(true));
        if (teller === 'the worker') attachStatusTracking(worker, store);
        return worker;
      },
      until: (each: Job, state: string) => untilState(queue, each, state),
    });
    if (teller === 'reconcile') await lookAtQueue();

    const key = { queue: queue.name, jobId: String(job.id) };
    const expected = typeof row === 'function' ? row(job) : row;
    let found: JobStatus | undefined;
    await expect
      .poll(async () => (found = await store.get(key)), { timeout: SOON, interval: 10 })
      .toMatchObject(expected);
    expect(found && broken(found)).toEqual([]);
  }

  describe.each(Object.entries(TRANSITIONS))('%s', (__, transition) => {
    test.for(tellersOf(transition, backend))('told by %s', (teller, context) =>
      tell(teller, transition, context),
    );
  });
});

async function untilState(
  queue: { getJobState(id: string): Promise<string> },
  { id = '' }: Job,
  state: string,
): Promise<void> {
  for (;;) {
    const is = await queue.getJobState(id);
    if (is === state || (is === 'unknown' && state === 'gone')) return;
    await sleep(5);
  }
}

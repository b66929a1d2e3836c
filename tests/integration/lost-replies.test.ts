import type { Worker } from 'bullmq';
import { attachStatusTracking, MemoryStatusStore } from 'bullmq-job-status';
import { describe, test } from 'vitest';
import { BULLMQ, newQueue } from '../support/queues.ts';

/*
 * The queue ends a job, and its answer is lost with the connection: the worker emits an error, and no
 * `completed`. Whoever listens for it waits for ever.
 */

interface Client {
  runCommand(name: string, args: unknown[]): Promise<unknown>;
}

/** The connection of a worker over which it moves jobs. */
async function clientOf(worker: Worker): Promise<Client> {
  // BullMQ 5 has it on the worker, BullMQ 6 on its backend.
  const owner: unknown = 'getBackend' in worker ? worker.getBackend() : worker;
  return (owner as { readonly client: Promise<Client> }).client;
}

describe.concurrent.each(Object.entries(BULLMQ))('%s', (_, bullmq) => {
  test.for([
    ['completed', async (): Promise<unknown> => 'done', { result: 'done' }],
    [
      'failed',
      async (): Promise<unknown> => Promise.reject(new RangeError('no')),
      { error: { message: 'no' } },
    ],
  ] as const)('a job that %s in the queue alone is so in its row', async (scenario, { expect }) => {
    const [status, process, row] = scenario;
    const store = new MemoryStatusStore();
    await using stage = newQueue(bullmq);
    const worker = stage.worker(process);
    attachStatusTracking(worker, store);
    const client = await clientOf(worker);
    const run: Client['runCommand'] = client.runCommand.bind(client);
    client.runCommand = async (name, args): Promise<unknown> => {
      const answer = await run(name, args);
      if (!name.startsWith('moveToFinished')) return answer;
      client.runCommand = run;
      throw new Error('The answer was lost');
    };
    const events: string[] = [];
    worker.on('completed', () => events.push('completed'));
    worker.on('failed', () => events.push('failed'));
    const { id: jobId = '' } = await stage.queue.add('job', {});
    void worker.run();
    await expect
      .poll(() => store.get({ queue: stage.name, jobId }), { timeout: 5_000 })
      .toMatchObject({ status, attempt: 1, attemptsMade: 1, ...row });
    expect(events).toEqual([]);
  });
});

import { Queue, Worker } from 'bullmq';
import { attachStatusTracking, MemoryStatusStore } from 'bullmq-job-status';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { execa } from 'execa';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, test } from 'vitest';
import { FakeStore } from '../support/fake-store.ts';
import { BULLMQ, ended, newQueue } from '../support/queues.ts';
import { supabaseClient } from '../support/stores.ts';

describe('a program whose only change is the one line', () => {
  test('`await worker.close(); process.exit(0)` loses nothing', async () => {
    const { redis, supabaseUrl, secretKey } = inject('parts');
    const queue = new Queue(`queue-${randomUUID()}`, { connection: redis });
    await queue.addBulk(Array.from({ length: 300 }, (_, n) => ({ name: 'job', data: { n } })));
    const program = fileURLToPath(new URL('../fixtures/one-line.ts', import.meta.url));
    const env = {
      QUEUE: queue.name,
      REDIS: JSON.stringify(redis),
      SUPABASE_URL: supabaseUrl,
      SUPABASE_KEY: secretKey,
      JOBS: '300',
    };
    const { exitCode, stderr } = await execa(process.execPath, [program], { env });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const store = new SupabaseStatusStore(supabaseClient());
    expect(await store.count({ queue: queue.name, status: 'completed' })).toBe(300);
    await queue.obliterate({ force: true });
    await queue.close();
  });
});

describe.each(Object.entries(BULLMQ))('%s', (_, bullmq) => {
  async function runJobs(worker: Worker, queue: Queue, count: number): Promise<void> {
    const end = ended(worker, count);
    await queue.addBulk(Array.from({ length: count }, () => ({ name: 'job', data: {} })));
    void worker.run();
    await end;
  }

  test('worker.close() waits for the jobs under way and for their rows', async () => {
    await using queue = newQueue(bullmq);
    const store = new FakeStore();
    const worker = queue.worker(() => new Promise((resolve) => setTimeout(resolve, 100, 'late')), {
      concurrency: 5,
    });
    attachStatusTracking(worker, store);
    await queue.queue.addBulk(Array.from({ length: 5 }, () => ({ name: 'job', data: {} })));
    const active = new Promise((resolve) => worker.once('active', resolve));
    void worker.run();
    await active;
    await worker.close();
    const rows = await store.list();
    expect(rows.items.length).toBeGreaterThan(0);
    expect(rows.items.every((row) => row.status === 'completed' && row.result === 'late')).toBe(
      true,
    );
  });

  test('closing twice, and flushing after closing, is fine', async () => {
    await using queue = newQueue(bullmq);
    const store = new MemoryStatusStore();
    const worker = queue.worker(async () => 1);
    const tracker = attachStatusTracking(worker, store);
    await runJobs(worker, queue.queue, 3);
    await Promise.all([worker.close(), worker.close(), tracker.close()]);
    await tracker.close();
    await tracker.flush();
    await worker.close();
    expect(await store.count({ status: 'completed' })).toBe(3);
  });

  test('closing while the store hangs ends at the deadline and says what is unsaved; the worker closes', async () => {
    await using queue = newQueue(bullmq);
    const store = new FakeStore().answers('hang');
    const errors: { code: string; updates: readonly unknown[] }[] = [];
    const worker = queue.worker(async () => 1);
    const tracker = attachStatusTracking(worker, store, {
      flushTimeoutMs: 300,
      onError: ({ code }, updates) => errors.push({ code, updates }),
    });
    await runJobs(worker, queue.queue, 3);
    const start = performance.now();
    await worker.close();
    expect(performance.now() - start).toBeGreaterThan(250);
    expect(worker.isRunning()).toBe(false);
    expect(errors.map(({ code }) => code)).toContain('ERR_FLUSH_INCOMPLETE');
    expect(tracker.stats().pending).toBe(3);
    await expect(tracker.close()).rejects.toMatchObject({ code: 'ERR_FLUSH_INCOMPLETE' });
  });

  test('a closed tracker leaves the worker running, and unseen', async () => {
    await using queue = newQueue(bullmq);
    const store = new MemoryStatusStore();
    const worker = queue.worker(async () => 1);
    const tracker = attachStatusTracking(worker, store);
    await tracker.close();
    await runJobs(worker, queue.queue, 2);
    expect(await store.count()).toBe(0);
  });
});

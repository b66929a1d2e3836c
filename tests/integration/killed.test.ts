import { attachQueueTracking, type ReconcileReport } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { execa } from 'execa';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, inject, test } from 'vitest';
import { openPool } from '../support/pool.ts';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { readAll } from '../support/rows.ts';
import { differences } from '../support/truth.ts';

/*
 * Everything at once: workers killed under load, jobs stalled and run again, jobs taken away behind everybody's
 * back, the stream of events cut; and then one `reconcile`.
 */

const KILLS = 12;
const JOBS = 1_500;

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url));

test('workers killed a dozen times, jobs removed, events trimmed: one reconcile, and no row differs', async () => {
  const { redis, connectionString } = inject('parts');
  await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
  const { name, queue } = stage;
  const pool = openPool(connectionString);
  const store = new PostgresStatusStore(pool);
  const args = [name, JSON.stringify(redis), connectionString];
  const tracker = attachQueueTracking(queue, store);

  const startWorker = async () => {
    const worker = execa(process.execPath, [fixture('mortal-worker'), ...args], { reject: false });
    await new Promise((resolve) => worker.stdout.once('data', resolve));
    // Within something, for a process by itself is waited for as a promise is.
    return { kill: () => worker.kill('SIGKILL') };
  };
  const workers = [await startWorker(), await startWorker()];
  const opts = (n: number) => ({
    attempts: 3,
    backoff: n % 2 ? 20 : 0,
    delay: n % 5 === 0 ? 500 : 0,
    priority: n % 7 === 0 ? 2 : 0,
    removeOnComplete: n % 3 === 0,
    removeOnFail: n % 4 === 0,
  });
  for (let kill = 0; kill < KILLS; kill++) {
    const batch = Array.from({ length: JOBS / KILLS }, (_, n) => ({
      name: 'job',
      data: { n },
      opts: opts(n),
    }));
    const added = await queue.addBulk(batch);
    await sleep(150);
    for (const { id = '' } of added.slice(-3)) await queue.remove(id).catch(() => {});
    const [oldest] = workers.splice(0, 1);
    oldest?.kill();
    if (kill % 3 === 0) await queue.trimEvents(0);
    // Who follows the queue dies too, half-way.
    if (kill === KILLS / 2) await tracker.close();
    workers.push(await startWorker());
  }
  await queue.clean(0, 5, 'wait');
  await queue.clean(0, 5, 'delayed');
  const left = () => queue.getJobCountByTypes('wait', 'active', 'delayed', 'prioritized');
  await expect.poll(left, { timeout: 60_000, interval: 100 }).toBe(0);
  for (const worker of workers) worker.kill();

  const before = await differences(store, queue);
  const reports: ReconcileReport[] = [];
  for (let process_ = 0; process_ < 3; process_++) {
    const { stdout } = await execa(process.execPath, [fixture('reconciler'), ...args]);
    reports.push(JSON.parse(stdout) as ReconcileReport);
    expect(await differences(store, queue)).toEqual([]);
  }
  const [first, ...others] = reports;
  console.log({ before: before.length, first });
  expect(before.length).toBeGreaterThan(0);
  expect(first!.repaired + first!.removed).toBeGreaterThan(0);
  expect(others).toEqual(others.map((each) => ({ ...each, repaired: 0, removed: 0, added: 0 })));
  // A job that BullMQ counts as a success is never called anything else.
  const completed = new Set((await queue.getCompleted()).map((job) => job.id));
  const rows = await readAll(store, { queue: name, limit: 1_000 });
  const wrong = rows.filter((row) => completed.has(row.jobId) && row.status !== 'completed');
  expect(wrong).toEqual([]);
  await pool.end();
}, 120_000);

import { Queue } from 'bullmq';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, inject, test } from 'vitest';
import { openPool } from '../support/pool.ts';
import { onTestParts, ROOT, runProgram, scratchFolder } from '../support/programs.ts';

/* The programs in `examples/` that no document shows word for word run, and do what they are about. */

const scratch = scratchFolder('examples');
const pool = openPool(inject('parts').connectionString);
const store = new PostgresStatusStore(pool);
afterAll(() => pool.end());

const suffix = randomUUID();
function run(name: string) {
  const file = join(scratch, `${name}.ts`);
  const code = readFileSync(join(ROOT, `examples/${name}.ts`), 'utf8');
  // Each on queues of its own.
  writeFileSync(file, onTestParts(code, `${name}-${suffix}`));
  return runProgram(file);
}

test('cancel.ts: the job ends as cancelled, and its row says by whom', async () => {
  const { stdout, stderr } = await run('cancel');
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^requested$/m);
  for (const line of [
    "status: 'cancelled'",
    "by: 'user 7'",
    "reason: 'no longer needed'",
    "message: 'Cancelled: no longer needed'",
  ])
    expect(stdout).toContain(line);
});

test('queue.ts: a row from the moment a job is added, with the same ids from queue and worker', async () => {
  const program = run('queue');
  const queue = `exports-queue-${suffix}`;
  const seen = async () => (await store.list({ queue })).items;
  const statuses = async () => (await seen()).map(({ status }) => status).toSorted();
  await expect.poll(statuses, { timeout: 10_000 }).toEqual(['completed', 'delayed']);
  program.kill('SIGTERM');
  expect((await program).stderr).toBe('');
  for (const row of await seen()) expect(row.metadata).toEqual({ organizationId: 'acme' });
});

test('reconcile.ts: a job that nobody tracked has a row, by a job of every five minutes', async () => {
  const [exported, mailed, kept] = ['exports', 'mail', 'maintenance'].map(
    (queue) => `${queue}-reconcile-${suffix}`,
  ) as [string, string, string];
  const connection = inject('parts').redis;
  const mail = new Queue(mailed, { connection });
  const maintenance = new Queue(kept, { connection });
  const { id = '' } = await mail.add('welcome', {});
  const program = run('reconcile');
  const row = () => store.get({ queue: mailed, jobId: id });
  await expect.poll(row, { timeout: 10_000 }).toMatchObject({ status: 'waiting', name: 'welcome' });
  await expect.poll(() => maintenance.getCompletedCount()).toBe(1);
  const [job] = await maintenance.getCompleted();
  expect(job?.returnvalue).toMatchObject([
    { queue: exported, checked: 0 },
    { queue: mailed, checked: 1, added: 1 },
  ]);
  expect(await maintenance.getJobScheduler('reconcile')).toMatchObject({ every: 300_000 });
  program.kill('SIGTERM');
  expect((await program).stderr).toBe('');
  for (const queue of [mail, maintenance]) {
    await queue.obliterate({ force: true });
    await queue.close();
  }
});

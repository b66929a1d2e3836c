import { migrate } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { execa } from 'execa';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Pool } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { runSql, startPostgres, type PostgresPart } from '../parts/index.ts';
import { cli, MAIN } from '../support/cli.ts';
import { openPool } from '../support/pool.ts';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { redisUrl } from '../support/redis-url.ts';

/* `reconcile`, as a process, on a real queue and a real database. */

let postgres: PostgresPart;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

let url: string;
let pool: Pool;
let store: PostgresStatusStore;
let databases = 0;
beforeEach(async () => {
  url = await postgres.createDatabase(`reconcile_${++databases}`);
  pool = openPool(url);
  store = new PostgresStatusStore(pool);
  await migrate(pool);
});
afterEach(() => pool.end());

/** A project with these packages, under the names by which programs load them. */
const project = mkdtempSync(join(tmpdir(), 'job-status-project-'));
afterAll(() => rmSync(project, { recursive: true }));

function projectWith(packages: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(project, 'with-'));
  mkdirSync(join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{}');
  for (const [name, installed] of Object.entries(packages)) {
    const target = fileURLToPath(new URL(`../../node_modules/${installed}`, import.meta.url));
    symlinkSync(target, join(folder, 'node_modules', name));
  }
  return folder;
}

const run = (queue: string, ...args: string[]) =>
  cli(['reconcile', '--queue', queue, ...args], {
    env: { DATABASE_URL: url, REDIS_URL: redisUrl() },
  });

/** What a run that went well prints, without its time. */
function verdict(queue: string, counts: string): object {
  return {
    stdout: expect.stringMatching(
      new RegExp(`^${queue}: ${counts} \\(\\d+ reads of the queue, \\d+\\.\\d s\\)\\n$`),
    ),
    stderr: '',
    exitCode: 0,
  };
}

const jobs = (length: number) => Array.from({ length }, (_, n) => ({ name: 'job', data: { n } }));

/** On each backend: where the queue is, and the project that it is run in. */
const HOMES = {
  'BullMQ 6': { args: () => [], packages: { bullmq: 'bullmq', pg: 'pg' } },
  'BullMQ 5': { args: () => [], packages: { bullmq: 'bullmq-v5', pg: 'pg' } },
  'BullMQ 6 on Postgres': {
    args: () => ['--queue-database-url', inject('parts').connectionString],
    packages: { bullmq: 'bullmq', pg: 'pg' },
  },
} satisfies Record<string, { args: () => string[]; packages: Record<string, string> }>;

describe.each(Object.entries(HOMES))('%s', (name, { args, packages }) => {
  test('adds rows, repairs them, takes leave of jobs that are gone; the second time nothing is left to do', async () => {
    const cwd = projectWith(packages);
    const env = { DATABASE_URL: url, REDIS_URL: redisUrl() };
    await using stage = newQueueOn(BACKENDS[name]!);
    const flags = ['reconcile', '--queue', stage.name, '--older-than', '0s', ...args()];
    const reconcile = () => cli(flags, { cwd, env });
    await stage.queue.addBulk(jobs(5));
    expect(await reconcile()).toEqual(
      verdict(stage.name, '5 checked, 0 repaired, 0 removed, 5 added'),
    );
    expect(await store.count({ queue: stage.name, status: 'waiting' })).toBe(5);

    // A worker that nobody tracks.
    const worker = stage.worker(async () => 'done');
    void worker.run();
    await expect.poll(() => stage.queue.getCompletedCount()).toBe(5);
    await worker.close();
    await stage.queue.add('more', {}, { delay: 3_600_000, jobId: 'more' });
    expect(await reconcile()).toEqual(
      verdict(stage.name, '6 checked, 5 repaired, 0 removed, 1 added'),
    );
    expect(await store.count({ queue: stage.name, status: 'completed' })).toBe(5);

    await stage.queue.obliterate({ force: true });
    expect(await reconcile()).toEqual(
      verdict(stage.name, '1 checked, 0 repaired, 1 removed, 0 added'),
    );
    expect(await store.get({ queue: stage.name, jobId: 'more' })).toMatchObject({
      status: 'removed',
      removedFrom: 'delayed',
    });
    expect(await reconcile()).toEqual(
      verdict(stage.name, '0 checked, 0 repaired, 0 removed, 0 added'),
    );
  });
});

describe('flags', () => {
  const redis = BACKENDS['BullMQ 6']!;

  test('--prefix, --schema, --table and --redis-url', async () => {
    await migrate(pool, { schema: 'tracking', table: 'jobs' });
    await using stage = newQueueOn(redis, { prefix: 'eu:west' });
    await stage.queue.addBulk(jobs(3));
    const where = ['--schema', 'tracking', '--table', 'jobs'];
    const from = ['--prefix', 'eu:west', '--redis-url', redisUrl(), '--database-url', url];
    expect(
      await cli(['reconcile', '--queue', stage.name, ...from, ...where, '--batch-size', '2']),
    ).toEqual(verdict(stage.name, '3 checked, 0 repaired, 0 removed, 3 added'));
    const tracked = new PostgresStatusStore(pool, { schema: 'tracking', table: 'jobs' });
    expect(await tracked.count({ queue: `eu:west:${stage.name}` })).toBe(3);
  });

  test('--ended-within: jobs that ended with nobody to tell of it, of ten minutes unless it is given', async () => {
    await using stage = newQueueOn(redis);
    const worker = stage.worker(async () => 'done');
    await stage.queue.addBulk(jobs(3));
    void worker.run();
    await expect.poll(() => stage.queue.getCompletedCount()).toBe(3);
    expect(await run(stage.name, '--ended-within', '0ms')).toEqual(
      verdict(stage.name, '0 checked, 0 repaired, 0 removed, 0 added'),
    );
    expect(await run(stage.name)).toEqual(
      verdict(stage.name, '3 checked, 0 repaired, 0 removed, 3 added'),
    );
    expect(await run(stage.name, '--ended-within', '1d')).toEqual(
      verdict(stage.name, '0 checked, 0 repaired, 0 removed, 0 added'),
    );
  });

  test('--older-than: rows that changed lately are left alone, for a minute unless it is given', async () => {
    await using stage = newQueueOn(redis);
    await stage.queue.add('job', {});
    await run(stage.name);
    await stage.queue.drain();
    const nothing = verdict(stage.name, '0 checked, 0 repaired, 0 removed, 0 added');
    expect(await run(stage.name)).toEqual(nothing);
    expect(await run(stage.name, '--older-than', '1h')).toEqual(nothing);
    expect(await run(stage.name, '--older-than', '0ms')).toEqual(
      verdict(stage.name, '1 checked, 0 repaired, 1 removed, 0 added'),
    );
  });
});

test("a queue's own settings are left as they are", async () => {
  const { Queue } = BACKENDS['BullMQ 6']!.bullmq;
  await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
  const { redis: connection } = inject('parts');
  const setting = async () => (await stage.queue.getMeta()).maxLenEvents;
  await expect.poll(setting).toBe(10_000);
  const other = new Queue(stage.name, { connection, streams: { events: { maxLen: 77 } } });
  await expect.poll(setting).toBe(77);
  await run(stage.name);
  expect(await setting()).toBe(77);
  await other.close();
});

test('BullMQ 5 keeps no queue in Postgres', async () => {
  const cwd = projectWith({ bullmq: 'bullmq-v5', pg: 'pg' });
  const args = ['reconcile', '--queue', 'exports', '--queue-database-url', url];
  expect(await cli(args, { cwd, env: { DATABASE_URL: url } })).toEqual({
    stdout: '',
    stderr: 'error: BullMQ keeps queues in Postgres from version 6 on: npm install bullmq@6\n',
    exitCode: 1,
  });
});

test('what the database refuses is told, and costs the others nothing', async () => {
  await runSql(url, "alter table job_status add constraint no_bad check (name <> 'bad')");
  await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
  await stage.queue.addBulk([...jobs(4), { name: 'bad', data: {} }]);
  const { stdout, stderr, exitCode } = await run(stage.name);
  expect(stdout).toContain(`${stage.name}: 5 checked, 0 repaired, 0 removed, 5 added`);
  expect(stderr).toMatch(/^error: 1 row was refused by the database: .*"no_bad"/);
  expect(exitCode).toBe(1);
  expect(await store.count({ queue: stage.name })).toBe(4);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s: it stops before its next look', async (signal) => {
  await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
  await stage.queue.addBulk(jobs(5_000));
  const args = [MAIN, 'reconcile', '--queue', stage.name, '--batch-size', '1'];
  const env = { NODE_OPTIONS: '', DATABASE_URL: url, REDIS_URL: redisUrl() };
  const running = execa(process.execPath, args, { env, reject: false, timeout: 20_000 });
  const stored = () => store.count({ queue: stage.name });
  await expect.poll(stored, { timeout: 10_000 }).toBeGreaterThan(10);
  running.kill(signal);
  const { stdout, stderr, exitCode } = await running;
  expect({ stdout, stderr, exitCode }).toEqual({
    stdout: '',
    stderr: 'error: Stopped before it was done; what it had repaired stays so',
    exitCode: 1,
  });
  expect(await stored()).toBeLessThan(5_000);
});

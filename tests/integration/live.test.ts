import { createClient } from '@supabase/supabase-js';
import { Queue, Worker } from 'bullmq';
import { attachStatusTracking } from 'bullmq-job-status';
import { migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  inject,
  test,
  vi,
} from 'vitest';
import WebSocket from 'ws';
import { watchJobs, type JobRow, type WatchOptions } from '../../examples/live.ts';
import {
  runSql,
  startPostgres,
  startSupabaseApi,
  type PostgresPart,
  type SupabasePart,
} from '../parts/index.ts';
import { startRealtime, type RealtimePart } from '../parts/realtime.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { A, ALICE, B, people, recipe, STRANGER } from '../support/organizations.ts';
import { openPool } from '../support/pool.ts';

/* docs/live.md: examples/live.ts on real changes, through a stand-in for Realtime that fails on purpose. */

/** By which a member reads the rows of his organisation. */
const { tables, column, byMembers } = recipe;

let postgres: PostgresPart;
let api: SupabasePart;
let realtime: RealtimePart;
let pool: Pool;
let store: PostgresStatusStore;

const run = (sql: string) => runSql(postgres.connectionString, sql);

beforeAll(async () => {
  // A stand-in of our own, for its database must be in reach.
  for (const name of ['DATABASE_URL', 'SUPABASE_URL']) vi.stubEnv(name, undefined);
  postgres = await startPostgres({ settings: { wal_level: 'logical' } });
  const { connectionString } = postgres;
  // Every Supabase project has this publication.
  const publication = 'create publication supabase_realtime;';
  const sql = [publication, migrationSql({ realtime: true }), tables, column, byMembers, people];
  api = await startSupabaseApi({ connectionString, sql: sql.join('\n') });
  pool = openPool(connectionString);
  store = new PostgresStatusStore(pool);
});

beforeEach(async () => {
  await run('delete from job_status');
  realtime = await startRealtime({ apiUrl: api.url, connectionString: postgres.connectionString });
});

const open: AbortController[] = [];

afterEach(async () => {
  for (const controller of open.splice(0)) controller.abort();
  await realtime.stop();
  vi.unstubAllGlobals();
});

afterAll(async () => {
  await pool?.end();
  await api?.stop();
  await postgres?.stop();
  vi.unstubAllEnvs();
});

/** A job whose story a test tells step by step, of an organisation. */
class Job {
  readonly #history: JobHistory;
  readonly #organizationId: string;

  constructor(id: string, organizationId = A) {
    this.#history = new JobHistory({ queue: 'exports', id });
    this.#organizationId = organizationId;
  }

  async progress(progress: number): Promise<void> {
    if (this.#history.snapshots.length === 0) this.#history.start();
    const snapshot = this.#history.progress(1, progress).snapshots.at(-1)!;
    await store.write([{ ...snapshot, metadata: { organizationId: this.#organizationId } }]);
  }
}

const soon = { timeout: 10_000 };

/** What somebody sees who looks at his jobs. */
function watch(sub: string, options: Partial<WatchOptions> = {}) {
  const token = api.signedInToken({ sub });
  const supabase = createClient(realtime.url, api.publishableKey, {
    accessToken: async () => token,
    realtime: { transport: WebSocket as never },
  });
  const controller = new AbortController();
  open.push(controller);
  const pages: (readonly JobRow[])[] = [];
  const errors: unknown[] = [];
  const watched = watchJobs(supabase, {
    onRows: (rows) => void pages.push(rows),
    onError: (error) => void errors.push(error),
    signal: controller.signal,
    restMs: 20,
    ...options,
  });
  watched.catch((error: unknown) => errors.push(error));
  const progress = (id: string) => pages.at(-1)?.find(({ job_id }) => job_id === id)?.progress;
  return { pages, errors, progress, stop: () => controller.abort() };
}

/** Somebody who looks, and to whom changes are being sent. */
async function watching(sub: string, options?: Partial<WatchOptions>) {
  const job = new Job('first');
  await job.progress(1);
  const watcher = watch(sub, options);
  await expect.poll(() => watcher.pages.length, soon).toBeGreaterThan(0);
  // From the join on, the stand-in sends what changes.
  await expect.poll(realtime.joined, soon).toBe(1);
  await new Job('second').progress(2);
  await expect.poll(() => watcher.progress('second'), soon).toBe(2);
  return { ...watcher, job };
}

/** The progress told by the last change that was lost. */
const lastLost = () => realtime.lost.at(-1)?.row['progress'];

describe('who looks sees the truth', () => {
  test('first the newest rows there are, newest first', async () => {
    for (const [at, id] of ['old', 'newer', 'newest'].entries()) {
      await new Job(id).progress(at);
      await run(
        `update job_status set created_at = timestamptz '2026-01-01' - interval '1 day' * ${3 - at} where job_id = '${id}'`,
      );
    }
    const { pages } = watch(ALICE, { limit: 2 });
    await expect.poll(() => pages.length, soon).toBeGreaterThan(0);
    expect(pages[0]?.map(({ job_id }) => job_id)).toEqual(['newest', 'newer']);
  });

  test('a job of a real worker, from its start to its end', async () => {
    const { pages } = await watching(ALICE);
    const name = `queue-${randomUUID()}`;
    const { redis: connection } = inject('parts');
    const gate = Promise.withResolvers<void>();
    const worker = new Worker(name, () => gate.promise, { connection });
    attachStatusTracking(worker, store, { metadata: () => ({ organizationId: A }) });
    const queue = new Queue(name, { connection });
    await queue.add('export', {});
    const status = () => pages.at(-1)?.find((row) => row.queue === name)?.status;
    await expect.poll(status, soon).toBe('active');
    gate.resolve();
    await expect.poll(status, soon).toBe('completed');
    await worker.close();
    await queue.close();
  });

  test('of his own organisation only; of others not even an event', async () => {
    const alice = await watching(ALICE);
    const stranger = watch(STRANGER);
    await new Job('theirs', B).progress(5);
    await alice.job.progress(6);
    await expect.poll(() => alice.progress('first'), soon).toBe(6);
    await expect.poll(() => stranger.pages.length, soon).toBeGreaterThan(0);
    const ids = (pages: (readonly JobRow[])[]) => new Set(pages.flat().map(({ job_id }) => job_id));
    expect(ids(alice.pages)).toEqual(new Set(['first', 'second']));
    expect(ids(stranger.pages)).toEqual(new Set());
    const sent = () => realtime.sent.map(({ type, row }) => `${type} ${row['job_id']}`);
    await expect.poll(sent, soon).toContain('UPDATE first');
    expect(sent()).not.toContain('INSERT theirs');
  });

  test('a row that is deleted is gone', async () => {
    const { pages } = await watching(ALICE);
    await run("delete from job_status where job_id = 'first'");
    await expect.poll(() => pages.at(-1)?.map(({ job_id }) => job_id), soon).toEqual(['second']);
  });

  test('after a connection was cut and changes were lost', async () => {
    const { job, progress, errors } = await watching(ALICE);
    realtime.set('lose', true);
    realtime.cut();
    // Changed only once the cut is known, lest a read still under way shows it.
    await expect.poll(() => errors.length, soon).toBeGreaterThan(0);
    await job.progress(40);
    await expect.poll(() => progress('first'), soon).toBe(40);
    await expect.poll(lastLost, soon).toBe('40');
    // And changes come again.
    realtime.set('lose', false);
    await job.progress(60);
    await expect.poll(() => progress('first'), soon).toBe(60);
  });

  test('of what changed after SUBSCRIBED and before the server had subscribed', async () => {
    const job = new Job('early');
    await job.progress(1);
    realtime.set('not yet', true);
    const { progress, pages } = watch(ALICE);
    await expect.poll(realtime.joined, soon).toBe(1);
    await expect.poll(() => progress('early'), soon).toBe(1);
    await expect.poll(() => pages.length, soon).toBe(2);
    await job.progress(30);
    await expect.poll(lastLost, soon).toBe('30');
    expect(progress('early')).toBe(1);
    realtime.set('not yet', false);
    await expect.poll(() => progress('early'), soon).toBe(30);
  });

  test('when the tab is shown again, and no late event brings an older row back', async () => {
    const tab = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
    vi.stubGlobal('document', tab);
    const { job, progress, pages } = await watching(ALICE);
    realtime.set('hold', true);
    await job.progress(10);
    await job.progress(50);
    tab.visibilityState = 'visible';
    tab.dispatchEvent(new Event('visibilitychange'));
    await expect.poll(() => progress('first'), soon).toBe(50);
    const before = pages.length;
    realtime.set('hold', false);
    await expect.poll(() => realtime.sent.at(-1)?.row['progress'], soon).toBe('50');
    await expect.poll(() => pages.length, soon).toBeGreaterThan(before);
    const shown = pages
      .slice(before)
      .map((page) => page.find(({ job_id }) => job_id === 'first')?.progress);
    expect(new Set(shown)).toEqual(new Set([50]));
  });

  test('of what was lost in silence, after a while', async () => {
    const { job, progress } = await watching(ALICE, { everyMs: 300 });
    realtime.set('lose', true);
    await job.progress(70);
    await expect.poll(() => progress('first'), soon).toBe(70);
    expect(realtime.sent.filter(({ type }) => type === 'UPDATE')).toEqual([]);
  });

  test('of many changes at once by few reads', async () => {
    const { job, progress } = await watching(ALICE, { restMs: 200 });
    const before = realtime.requests();
    for (let percent = 1; percent <= 100; percent++) await job.progress(percent);
    await expect.poll(() => progress('first'), soon).toBe(100);
    await expect.poll(() => realtime.sent.at(-1)?.row['progress'], soon).toBe('100');
    expect(realtime.requests() - before).toBeLessThan(50);
  });
});

describe('what goes wrong', () => {
  test('a read that fails is told, and tried again', async () => {
    const { job, progress, errors } = await watching(ALICE);
    realtime.set('no api', true);
    await job.progress(20);
    await expect.poll(() => errors.length, soon).toBeGreaterThan(0);
    realtime.set('no api', false);
    await expect.poll(() => progress('first'), soon).toBe(20);
  });

  test('aborted, it stops for good: no channel, no read, no row', async () => {
    const { job, pages, errors, stop } = await watching(ALICE);
    stop();
    const before = pages.length;
    await expect.poll(realtime.joined, soon).toBe(0);
    // Another sees the change that this one does not.
    const other = watch(ALICE);
    await job.progress(80);
    await expect.poll(() => other.progress('first'), soon).toBe(80);
    expect(pages.length).toBe(before);
    expect(errors).toEqual([]);
    const aborted = watch(ALICE, { signal: AbortSignal.abort() });
    await job.progress(90);
    await expect.poll(() => other.progress('first'), soon).toBe(90);
    expect(aborted.pages).toEqual([]);
  });
});

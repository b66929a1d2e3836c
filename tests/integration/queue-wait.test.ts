import type { Queue } from 'bullmq';
import type { Queue as Queue5 } from 'bullmq-v5';
import { Redis } from 'ioredis';
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Pool } from 'pg';
import { describe, expect, inject, test, vi } from 'vitest';
import { startRedis } from '../parts/index.ts';
import { BACKENDS, newQueueOn, type Backend } from '../support/queues.ts';
import { readerOf } from '../support/queue-readers.ts';

const FOREVER = new AbortController().signal;

/** In ms: far from the half minute that was asked for, however busy the machine is. */
const soon = 2_000;

/** How long a promise takes, in ms. */
async function timeOf(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

describe.each(Object.entries(BACKENDS))('%s', (name, backend) => {
  test('wakes for the next event, by a worker’s connection too', async () => {
    await using at = newQueueOn(backend);
    const worker = at.worker(async () => {});
    for (const owner of [at.queue, worker]) {
      const reader = readerOf(owner);
      for (let turn = 0; turn < 3; turn += 1) {
        const cursor = await reader.lastCursor();
        let isOver = false;
        const wait = reader.waitForChange(cursor, 30_000, FOREVER).then(() => (isOver = true));
        await sleep(1_000);
        expect(isOver).toBe(false);
        await at.queue.add('job', {});
        expect(await timeOf(() => wait)).toBeLessThan(soon);
        expect((await reader.changes(cursor, 10)).jobs).toHaveLength(1);
        // For what is there already it does not wait.
        expect(await timeOf(() => reader.waitForChange(cursor, 30_000, FOREVER))).toBeLessThan(
          soon,
        );
      }
      reader.close();
    }
  });

  test('is over in time, when aborted, and when closed', async () => {
    await using at = newQueueOn(backend);
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    await reader.waitForChange(cursor, 1, FOREVER);
    for (const ms of [0, 0.5, 300]) {
      const took = await timeOf(() => reader.waitForChange(cursor, ms, FOREVER));
      expect(took).toBeGreaterThanOrEqual(ms - 2);
      expect(took).toBeLessThan(ms + soon);
    }
    const aborting = new AbortController();
    const aborted = reader.waitForChange(cursor, 30_000, aborting.signal);
    await sleep(100);
    aborting.abort();
    expect(await timeOf(() => aborted)).toBeLessThan(soon);
    expect(await timeOf(() => reader.waitForChange(cursor, 30_000, aborting.signal))).toBeLessThan(
      soon,
    );

    // It can be waited again after that, until it is closed.
    const again = reader.waitForChange(cursor, 30_000, FOREVER);
    await sleep(100);
    reader.close();
    expect(await timeOf(() => again)).toBeLessThan(soon);
    expect(await timeOf(() => reader.waitForChange(cursor, 30_000, FOREVER))).toBeLessThan(soon);
    reader.close();
    // The queue's own connection is the queue's.
    expect(await reader.unfinishedIds()).toEqual([]);
  });

  test('a program that let go of it ends by itself', async () => {
    const kind = { 'BullMQ 6': '6', 'BullMQ 5': '5' }[name] ?? 'postgres';
    const file = fileURLToPath(new URL('../fixtures/queue-wait.ts', import.meta.url));
    const program = promisify(execFile)(
      process.execPath,
      [file, kind, JSON.stringify(backend.connection())],
      { timeout: 15_000 },
    );
    expect(await program).toMatchObject({ stdout: 'over\n', stderr: '' });
  });
});

describe.each(['BullMQ 6', 'BullMQ 5'])('%s on Redis', (name) => {
  test('one connection for all waits, which goes with the reader', async () => {
    await using own = await startRedis();
    await using at = newQueueOn(on(name, own.connection));
    const admin = new Redis(own.connection);
    const blocked = async () => {
      const clients = String(await admin.client('LIST'))
        .trim()
        .split('\n');
      return {
        all: clients.length,
        waiting: clients.filter((each) => / cmd=xread /.test(each)).length,
      };
    };
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    const before = (await blocked()).all;
    for (let turn = 0; turn < 5; turn += 1) await reader.waitForChange(cursor, 20, FOREVER);
    expect(await blocked()).toEqual({ all: before + 1, waiting: 1 });
    const aborting = new AbortController();
    const wait = reader.waitForChange(cursor, 30_000, aborting.signal);
    await sleep(50);
    aborting.abort();
    await wait;
    await expect.poll(blocked).toEqual({ all: before, waiting: 0 });
    await reader.waitForChange(cursor, 20, FOREVER);
    reader.close();
    await expect.poll(blocked).toEqual({ all: before, waiting: 0 });
    admin.disconnect();
  });

  test('a connection that breaks is made anew, and no wait rejects', async () => {
    await using own = await startRedis();
    await using at = newQueueOn(on(name, own.connection));
    const admin = new Redis(own.connection);
    admin.on('error', () => {});
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    const wait = reader.waitForChange(cursor, 20_000, FOREVER);
    await sleep(200);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await sleep(50);
    await at.queue.add('job', {});
    expect(await timeOf(() => wait)).toBeLessThan(5_000);
    reader.close();
    admin.disconnect();
  });

  test('without a server a wait is over in time', async () => {
    // ioredis prints errors that nobody listens to.
    const printed = vi.spyOn(console, 'error');
    const own = await startRedis();
    const at = newQueueOn(on(name, own.connection));
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    const waiting = reader.waitForChange(cursor, 1_000, FOREVER);
    await sleep(100);
    await own.stop();
    expect(await timeOf(() => waiting)).toBeLessThan(2_500);
    expect(await timeOf(() => reader.waitForChange(cursor, 1_000, FOREVER))).toBeLessThan(2_500);
    reader.close();
    (await clientOf(at.queue)).disconnect();
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
  });

  test('a client that can’t be waited on makes a wait a short rest', async () => {
    await using at = newQueueOn(on(name, inject('parts').redis));
    const client = await clientOf(at.queue);
    Object.assign(client, {
      duplicate() {
        throw new Error('not from this one');
      },
    });
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    for (const [ms, expected] of [
      [30_000, 500],
      [50, 50],
    ] as const) {
      const took = await timeOf(() => reader.waitForChange(cursor, ms, FOREVER));
      expect(took).toBeGreaterThanOrEqual(expected - 2);
      expect(took).toBeLessThan(expected + soon);
    }
  });

  test.each<object>([
    { commandTimeout: 200 },
    { socketTimeout: 200 },
    { enableOfflineQueue: false },
    { lazyConnect: true },
    { maxRetriesPerRequest: 0 },
  ])('a program’s own client with %j can be waited on', async (options) => {
    const connection = new Redis(Object.assign({}, inject('parts').redis, options));
    if (!('lazyConnect' in options)) {
      await new Promise((resolve) => connection.once('ready', resolve));
    }
    await using at = newQueueOn(on(name, connection));
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    let isOver = false;
    const wait = reader.waitForChange(cursor, 5_000, FOREVER).then(() => (isOver = true));
    await sleep(1_000);
    expect(isOver).toBe(false);
    await at.queue.add('job', {});
    expect(await timeOf(() => wait)).toBeLessThan(soon);
    reader.close();
    await at.queue.close();
    connection.disconnect();
  });
});

test('on Postgres a wait is over in time where the pool has no connection to give', async () => {
  const backend = BACKENDS['BullMQ 6 on Postgres']!;
  const pool = new Pool({
    connectionString: inject('parts').connectionString,
    options: '-c search_path=bullmq',
    max: 1,
  });
  {
    await using at = newQueueOn({ ...backend, connection: () => pool });
    const reader = readerOf(at.queue);
    const cursor = await reader.lastCursor();
    const taken = await pool.connect();
    const took = await timeOf(() => reader.waitForChange(cursor, 400, FOREVER));
    expect(took).toBeGreaterThanOrEqual(398);
    expect(took).toBeLessThan(400 + soon);
    taken.release();
  }
  await pool.end();
});

/** Its own connection, which each version has elsewhere. */
function clientOf(queue: Queue | Queue5): Promise<{ disconnect(): void }> {
  return 'getBackend' in queue ? queue.getBackend().client : queue.client;
}

function on(name: string, connection: object): Backend {
  const backend = BACKENDS[name]!;
  return { ...backend, connection: () => connection };
}

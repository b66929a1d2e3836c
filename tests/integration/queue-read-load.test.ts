import type { Job } from 'bullmq';
import { Redis } from 'ioredis';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import type { QueuedJob } from '../../src/queue-snapshot.ts';
import { startRedis } from '../parts/index.ts';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { readerOf } from '../support/queue-readers.ts';

const JOBS = 20;
const TURNS = 30;

/**
 * What is wrong with a job as it was seen. Each attempt puts its job off until a time that tells the attempt,
 * so a state of one moment beside an attempt of another shows; and only a delayed job has a delay.
 */
function wrong({ state, job, delayedUntil }: Pick<QueuedJob, 'state' | 'job' | 'delayedUntil'>) {
  const { attemptsStarted: attempt, delay = 0 } = job;
  if (state === 'waiting') return delay > 0 ? [`waiting, delayed by ${delay} ms`] : [];
  if (state === 'active') {
    return delay > 0 || attempt === 0 ? [`active in attempt ${attempt}, delay ${delay}`] : [];
  }
  if (state === 'completed') return attempt === TURNS ? [] : [`completed in attempt ${attempt}`];
  return state === 'delayed' && Number(delayedUntil) % 16 === attempt % 16 && delay > 0
    ? []
    : [`${state} until ${Number(delayedUntil) % 16} in attempt ${attempt % 16}, delay ${delay}`];
}

describe.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  test('state and attempt belong together, whatever happens meanwhile', async () => {
    await using at = newQueueOn(backend);
    const process = async (job: Job, token?: string) => {
      if (job.attemptsStarted === TURNS) return;
      const until = (Math.ceil((Date.now() + 2) / 16) + 1) * 16 + (job.attemptsStarted % 16);
      await job.moveToDelayed(until, token);
      throw new backend.bullmq.DelayedError();
    };
    const worker = at.worker(process, { concurrency: JOBS });
    const jobs = await at.queue.addBulk(
      Array.from({ length: JOBS }, () => ({ name: 'job', data: {} })),
    );
    const ids = jobs.map(({ id }) => id!);
    void worker.run();
    const reader = readerOf(at.queue);
    const seen = new Set<string>();
    const faults: string[] = [];
    const twoStepFaults: string[] = [];
    let reads = 0;
    for (let left = JOBS; left > 0;) {
      const found = [...(await reader.read(ids)).values()];
      expect(found).toHaveLength(JOBS);
      for (const each of found) {
        reads += 1;
        seen.add(`${each.state} ${each.job.attemptsStarted}`);
        faults.push(...wrong(each));
      }
      left = found.filter(({ state }) => state !== 'completed').length;

      // What two requests see does not belong together: lest this test prove nothing.
      const id = ids[reads % JOBS]!;
      const job = (await at.queue.getJob(id))!;
      const state = (await job.getState()) as QueuedJob['state'];
      const delayedUntil = state === 'delayed' ? job.attemptsStarted : null;
      twoStepFaults.push(...wrong({ state, job: job as QueuedJob['job'], delayedUntil }));
    }
    expect(faults).toEqual([]);
    expect(twoStepFaults.length).toBeGreaterThan(0);
    expect(reads).toBeGreaterThan(2_000);
    // It was looked at in all its states, and in most of its attempts.
    for (const state of ['active', 'delayed', 'completed']) {
      expect([...seen].some((each) => each.startsWith(state))).toBe(true);
    }
    expect(seen.size).toBeGreaterThan(TURNS);
  });
});

describe('a thousand jobs are one request', () => {
  test.each(['BullMQ 6', 'BullMQ 5'])('%s, on Redis', async (name) => {
    await using redis = await startRedis();
    await using at = newQueueOn({ ...BACKENDS[name]!, connection: () => redis.connection });
    const admin = new Redis(redis.connection);
    using _ = { [Symbol.dispose]: () => admin.disconnect() };
    // By hand: ioredis' own monitor stumbles over commands that come while it begins.
    const monitor = connect(redis.connection.port, redis.connection.host);
    using __ = { [Symbol.dispose]: () => monitor.destroy() };
    const sent: string[] = [];
    createInterface({ input: monitor }).on('line', (line) => {
      const [, source, command] = /^\+\S+ \[\d+ (\S+)\] "(\w+)"/.exec(line) ?? [];
      if (source !== undefined && source !== 'lua') sent.push(String(command).toLowerCase());
    });
    monitor.write(`AUTH ${redis.connection.password}\r\nMONITOR\r\n`);
    await once(monitor, 'data');
    /** What was sent since it was last asked, up to a mark. */
    const requests = async () => {
      await admin.echo('mark');
      await expect.poll(() => sent).toContain('echo');
      return sent.splice(0).filter((command) => command !== 'echo');
    };

    const jobs = await at.queue.addBulk(
      Array.from({ length: 1_000 }, (__, n) => ({ name: 'job', data: { n } })),
    );
    const ids = jobs.map(({ id }) => id!);
    const reader = readerOf(at.queue);
    // For the first time, with the script.
    await reader.read(ids);
    await requests();
    const found = await reader.read(ids);
    expect([...found.values()].map(({ job }) => job.data)).toEqual(jobs.map(({ data }) => data));
    expect(await requests()).toEqual(['evalsha']);
    expect(await reader.unfinishedIds()).toHaveLength(1_000);
    await requests();
    await reader.unfinishedIds();
    // One for each of the six places where they may be.
    expect(await requests()).toEqual(Array(6).fill('evalsha'));
    const cursor = await reader.lastCursor();
    await reader.changes(cursor, 10);
    await requests();
    await reader.lastCursor();
    await reader.changes(cursor, 10);
    expect(await requests()).toEqual(['evalsha', 'evalsha']);
  });

  test('on Postgres', async () => {
    await using at = newQueueOn(BACKENDS['BullMQ 6 on Postgres']!);
    const jobs = await at.queue.addBulk(
      Array.from({ length: 1_000 }, (__, n) => ({ name: 'job', data: { n } })),
    );
    const { pool } = (at.queue.getBackend() as unknown as { connection: { pool: Pool } })
      .connection;
    let queries = 0;
    const query = pool.query.bind(pool);
    pool.query = (...args: unknown[]) => {
      queries += 1;
      return query(...args);
    };
    const reader = readerOf(at.queue);
    const found = await reader.read(jobs.map(({ id }) => id!));
    expect(found.size).toBe(1_000);
    expect(queries).toBe(1);
    await reader.unfinishedIds();
    await reader.changes(await reader.lastCursor(), 10);
    expect(queries).toBe(4);
  });
});

interface Pool {
  query(...args: unknown[]): Promise<unknown>;
}

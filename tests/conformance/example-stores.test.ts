import { createClient } from '@libsql/client';
import { mergeStatus, type JobStatus, type StatusUpdate } from 'bullmq-job-status';
import { randomHistories, statusStoreConformance, throughBatcher } from 'bullmq-job-status/testing';
import { drizzle } from 'drizzle-orm/libsql';
import { execa } from 'execa';
import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { CREATE_TABLE, createDrizzleStore, jobStatus } from '../../examples/stores/drizzle.ts';
import { createRedisStore } from '../../examples/stores/redis.ts';
import { createSqliteStore } from '../../examples/stores/smallest.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { ROOT, scratchFolder } from '../support/programs.ts';

/* The stores in `examples/stores`: each is opened anew for each test on the same rows, as by other processes. */

const scratch = scratchFolder('stores');
const prefix = `example-${randomUUID()}`;

async function openRedis() {
  const client = new Redis(inject('parts').redis);
  return { ...createRedisStore(client, { prefix }), close: async () => client.disconnect() };
}

/** Others may read while one writes; and the tests' rows need not outlive a power cut. */
const QUICK = 'pragma journal_mode = wal; pragma synchronous = off';

/** @param timeout how long it waits for others, in ms */
async function openDrizzle(timeout = 5_000) {
  const client = createClient({ url: `file:${join(scratch, 'drizzle.db')}`, timeout });
  await client.executeMultiple(`${QUICK}; ${CREATE_TABLE}`);
  // Among a program's other tables.
  const db = drizzle(client, { schema: { jobStatus } });
  return { ...createDrizzleStore(db), client, close: async () => client.close() };
}

const openSmallest = async () => createSqliteStore(join(scratch, 'smallest.db'));

const ALL = { shared: true, attempts: true, list: true, count: true, delete: true, prune: true };
const REDIS = { ...ALL, prune: false };
const SMALLEST = { ...REDIS, list: false, count: false, delete: false };

const EXAMPLES = [
  { name: 'redis', open: openRedis, capabilities: REDIS },
  { name: 'drizzle', open: () => openDrizzle(), capabilities: ALL },
  { name: 'smallest', open: openSmallest, capabilities: SMALLEST },
];

afterAll(async () => {
  const client = new Redis(inject('parts').redis);
  for await (const keys of client.scanStream({ match: `${prefix}:*`, count: 1_000 }))
    for (const key of keys as string[]) await client.unlink(key);
  client.disconnect();
});

describe.each(EXAMPLES)('$name.ts', ({ name, open, capabilities }) => {
  // The smallest is run by itself in `readme.test.ts`, as the README shows it.
  if (name !== 'smallest') statusStoreConformance({ test, createStore: open, capabilities });

  describe('through the batcher', () => {
    const createStore = async () => throughBatcher(await open());
    // It has a part in what is written alone.
    statusStoreConformance({ test, createStore, capabilities: SMALLEST, runs: 20 });
  });
});

test('drizzle.ts: what is written after another kept the file locked is there for all', async () => {
  const [one, other] = [await openDrizzle(50), await openDrizzle()];
  const { snapshots } = new JobHistory({ queue: randomUUID(), id: '1' }).start();
  const [update] = snapshots as [StatusUpdate];
  const lock = await other.client.transaction('write');
  await expect(one.write([update])).rejects.toThrow('insert into');
  await lock.rollback();
  await one.write([update]);
  expect(await other.get(update)).toMatchObject({ status: 'active' });
  for (const each of [one, other]) await each.close();
});

const WRITER = `
import { readFileSync } from 'node:fs';
import { deserialize } from 'node:v8';
import { createSqliteStore } from '${join(ROOT, 'examples/stores/smallest.ts')}';

const [, , database, told] = process.argv;
const store = createSqliteStore(database!);
const updates = deserialize(readFileSync(told!));
for (let at = 0; at < updates.length; at += 10) await store.write(updates.slice(at, at + 10));
await store.close();
`;

test('smallest.ts: three processes on one new file lose nothing of each other’s', async () => {
  const histories = randomHistories({ seed: 1, runs: 60 });
  const jobs = histories.map((history, n) => history.map((each) => ({ ...each, jobId: `${n}` })));
  const program = join(scratch, 'writer.ts');
  const database = join(scratch, 'shared.db');
  writeFileSync(program, WRITER);
  // Of each job all three tell something, at the same time.
  const shares = [0, 1, 2].map((share) => jobs.flat().filter((_each, at) => at % 3 === share));
  const writers = shares.map((share, n) => {
    const told = join(scratch, `told-${n}`);
    writeFileSync(told, serialize(share));
    return execa(process.execPath, [program, database, told], { cwd: ROOT });
  });
  for (const { stderr } of await Promise.all(writers)) expect(stderr).toBe('');
  const store = createSqliteStore(database);
  for (const job of jobs) {
    const row = job.reduce<JobStatus | undefined>(mergeStatus, undefined);
    expect(await store.get(job[0] as StatusUpdate)).toEqual(row);
  }
  await store.close();
});

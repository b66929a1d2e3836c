import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { JobHistory } from '../../src/testing/histories.ts';
import { STORES, type WholeStore } from '../support/stores.ts';

/* Whatever a queue, a name, an id or metadata hold, it is data: never SQL, and never a filter's language. */

const HOSTILE = [
  "'; drop table job_status; --",
  '"',
  '\\',
  '{"x":1}',
  'a,b)(c',
  'new\nline',
  'repeat:s1:1700000000000',
  '9007199254740993',
  '%*_',
  'true',
  ' ',
  '',
  '__proto__',
  'ünï©ödé 😀',
];

/** 10,000 characters. */
const LONG = `'"{\\\n`.repeat(2_000);

interface Texts {
  readonly queue: string;
  readonly jobId: string;
  readonly name: string;
  readonly key: string;
}

/** Writes two rows of a queue, and finds the first by each of its texts. */
async function writeTwo(store: WholeStore, { queue, jobId, name, key }: Texts): Promise<void> {
  const metadata = Object.fromEntries([[key, key]]);
  const [update] = new JobHistory({ queue, id: jobId }).start().snapshots;
  const facts = { ...update!, name, metadata };
  await store.write([facts, { ...facts, jobId: 'other', name: 'other', metadata: null }]);
  const row = await store.get({ queue, jobId });
  expect(row).toMatchObject({ queue, jobId, name, metadata });
  expect((await store.list({ metadata })).items).toContainEqual(row);
  expect(await store.count({ queue, name })).toBe(1);
  expect(await store.count({ queue: `${queue}'` })).toBe(0);
}

describe.each(Object.entries(STORES))('%s store', (name, createStore) => {
  test.each(HOSTILE)('%j', async (hostile) => {
    const store = createStore();
    const queue = `${hostile}${randomUUID()}`;
    await writeTwo(store, { queue, jobId: hostile, name: hostile, key: hostile });
    const page = await store.list({ queue, limit: 1 });
    const rest = await store.list({ queue, limit: 1, cursor: page.nextCursor ?? undefined });
    expect([...page.items, ...rest.items].map(({ jobId }) => jobId).toSorted()).toEqual(
      [hostile, 'other'].toSorted(),
    );
    expect(rest.nextCursor).toBeNull();
    expect(await store.delete({ queue, name: hostile })).toBe(1);
    expect(await store.delete({ queue })).toBe(1);
  });

  test('metadata with a key of 10,000 characters', async () => {
    const store = createStore();
    const queue = randomUUID();
    const [update] = new JobHistory({ queue, id: '1' }).start().snapshots;
    const metadata = { [LONG]: LONG };
    await store.write([{ ...update!, metadata }]);
    expect(await store.get(update!)).toMatchObject({ metadata });
    const found = store.list({ queue, metadata });
    // Its queries are URLs, which servers take up to some 8 to 32 kB of.
    if (name === 'Supabase')
      await expect(found).rejects.toMatchObject({
        code: 'ERR_STORE_REFUSED',
        message: expect.stringContaining('A query goes in the URL: ask for shorter texts'),
      });
    else expect((await found).items).toHaveLength(1);
  });

  test.each([
    ['queue', 1_000],
    ['jobId', 1_000],
    ['name', 5_000],
  ])('a %s of %i characters', async (field, length) => {
    const store = createStore();
    const texts = { queue: randomUUID(), jobId: '1', name: 'export', key: 'organizationId' };
    // Of no order, for Postgres compresses what repeats: then it could be much longer.
    const long = Array.from({ length }, () => LONG[Math.floor(Math.random() * 5)]).join('');
    const queue = field === 'queue' ? long + texts.queue : texts.queue;
    await writeTwo(store, { ...texts, [field]: long, queue });
    expect(await store.delete({ queue })).toBe(2);
  });
});

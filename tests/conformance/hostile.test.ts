import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { JobHistory } from '../support/histories.ts';
import { STORES } from '../support/stores.ts';

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
  `'"{\\\n`.repeat(2_000),
];

const shown = (text: string) => JSON.stringify(text.length > 40 ? `${text.slice(0, 10)}…` : text);

describe.each(Object.entries(STORES))('%s store', (_, createStore) => {
  test.each(HOSTILE.map((hostile) => [shown(hostile), hostile]))('%s', async (_shown, hostile) => {
    const store = createStore();
    const queue = `${hostile}${randomUUID()}`;
    const metadata = Object.fromEntries([[hostile, queue]]);
    const [update] = new JobHistory({ queue, id: hostile }).start().snapshots;
    const facts = { ...update!, name: hostile, metadata };
    const other = { ...facts, jobId: 'other', name: 'other', metadata: null };
    await store.write([facts, other]);

    const row = await store.get({ queue, jobId: hostile });
    expect(row).toMatchObject({ queue, jobId: hostile, name: hostile, metadata });
    expect(await store.count({ queue, name: hostile })).toBe(1);
    expect(await store.count({ queue: `${queue}'` })).toBe(0);
    expect((await store.list({ metadata })).items).toEqual([row]);

    const page = await store.list({ queue, limit: 1 });
    const rest = await store.list({ queue, limit: 1, cursor: page.nextCursor ?? undefined });
    expect([...page.items, ...rest.items].map(({ jobId }) => jobId).toSorted()).toEqual(
      [hostile, 'other'].toSorted(),
    );
    expect(rest.nextCursor).toBeNull();
    expect(await store.delete({ queue, name: hostile })).toBe(1);
    expect(await store.delete({ queue })).toBe(1);
  });
});

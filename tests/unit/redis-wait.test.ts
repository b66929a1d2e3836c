import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { waitOnStream, type BlockableClient } from '../../src/queue/redis-wait.ts';

const FOREVER = new AbortController().signal;

/** A client whose duplicates answer at once, or never. */
function fakeClient(more: Partial<BlockableClient> = {}, answers = true) {
  const calls: unknown[][] = [];
  let disconnects = 0;
  const client: BlockableClient = {
    ...more,
    duplicate(...options) {
      calls.push(['duplicate', ...options]);
      return client;
    },
    xread(...command) {
      calls.push(['xread', ...command]);
      return answers ? Promise.resolve(null) : new Promise(() => {});
    },
    on() {},
    disconnect() {
      disconnects += 1;
    },
  };
  return { client, calls, disconnects: () => disconnects };
}

test('an adapter is asked in its way, a plain client in its own', async () => {
  const adapter = fakeClient({ runCommand() {}, isCluster: true });
  const waiting = waitOnStream(async () => adapter.client, 's');
  await waiting.wait('1-0', 50.7, FOREVER);
  await waiting.wait('2-0', 50, FOREVER);
  expect(adapter.calls).toEqual([
    ['duplicate', expect.objectContaining({ maxRetriesPerRequest: null })],
    ['xread', [{ key: 's', id: '1-0' }], { COUNT: 1, BLOCK: 50 }],
    ['xread', [{ key: 's', id: '2-0' }], { COUNT: 1, BLOCK: 50 }],
  ]);

  const plain = fakeClient();
  await waitOnStream(async () => plain.client, 's').wait('1-0', 50, FOREVER);
  expect(plain.calls).toEqual([
    ['duplicate', expect.objectContaining({ maxRetriesPerRequest: null })],
    ['xread', 'COUNT', 1, 'BLOCK', 50, 'STREAMS', 's', '1-0'],
  ]);
});

test('a plain cluster’s own options stay', async () => {
  const cluster = fakeClient({ isCluster: true, options: { redisOptions: { password: 'p' } } });
  await waitOnStream(async () => cluster.client, 's').wait('1-0', 50, FOREVER);
  expect(cluster.calls[0]).toEqual([
    'duplicate',
    [],
    { redisOptions: expect.objectContaining({ password: 'p', maxRetriesPerRequest: null }) },
  ]);
});

test('closed before there was a client, it makes no connection', async () => {
  const { client, calls } = fakeClient();
  let connect: (client: BlockableClient) => void = () => {};
  const waiting = waitOnStream(() => new Promise((resolve) => (connect = resolve)), 's');
  const wait = waiting.wait('1-0', 30_000, FOREVER);
  waiting.close();
  await wait;
  connect(client);
  await sleep(5);
  expect(calls).toEqual([]);
});

test('aborted before there was a client, it waits on none', async () => {
  const { client, calls, disconnects } = fakeClient({}, false);
  let connect: (client: BlockableClient) => void = () => {};
  const waiting = waitOnStream(() => new Promise((resolve) => (connect = resolve)), 's');
  const aborting = new AbortController();
  const wait = waiting.wait('1-0', 30_000, aborting.signal);
  aborting.abort();
  await wait;
  connect(client);
  await sleep(5);
  expect(calls.map(([name]) => name)).toEqual(['duplicate']);
  waiting.close();
  expect(disconnects()).toBe(1);
});

test('a connection that can’t be used is left alone for a while', async () => {
  const { client } = fakeClient();
  let asked = 0;
  const refused = {
    ...client,
    xread() {
      asked += 1;
      return Promise.reject(new Error('NOPERM'));
    },
  };
  const waiting = waitOnStream(async () => ({ ...client, duplicate: () => refused }), 's');
  for (let turn = 0; turn < 3; turn += 1) await waiting.wait('1-0', 10, FOREVER);
  expect(asked).toBe(1);
  waiting.close();
});

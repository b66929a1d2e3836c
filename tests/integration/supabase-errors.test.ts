import { createClient } from '@supabase/supabase-js';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import getPort from 'get-port';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, inject, test } from 'vitest';
import { createBatcher } from '../../src/batcher.ts';
import { type JobStatusError, type JobStatusErrorCode } from '../../src/errors.ts';
import { resolveOptions } from '../../src/options.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { supabaseClient } from '../support/stores.ts';

const completed = (jobId: string, queue = 'errors') =>
  new JobHistory({ queue, id: jobId }).start().complete().snapshots.slice(1);

/** A server that gives every request one answer. */
async function answering(status: number, body: string) {
  const server = createServer((_, response) => {
    response.writeHead(status, {
      'content-type': body.startsWith('<') ? 'text/html' : 'application/json',
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

describe('what went wrong is told apart', () => {
  test('a publishable key may not write: not set up, with what to do', async () => {
    const { publishableKey } = inject('parts');
    const store = new SupabaseStatusStore(supabaseClient(publishableKey));
    const key = { queue: 'errors', jobId: '1' };
    for (const request of [
      () => store.write(completed('1')),
      () => store.get(key),
      () => store.count(),
    ]) {
      await expect(request()).rejects.toMatchObject({
        code: 'ERR_STORE_SETUP',
        message: expect.stringContaining('it must be the secret one'),
        cause: { code: '42501' },
      });
    }
  });

  test('a wrong key: not set up', async () => {
    const store = new SupabaseStatusStore(supabaseClient('sb_secret_wrong'));
    await expect(store.write(completed('1'))).rejects.toMatchObject({ code: 'ERR_STORE_SETUP' });
  });

  test('no such table: not set up, with what to run', async () => {
    const store = new SupabaseStatusStore(supabaseClient(), { table: 'nowhere' });
    const message = expect.stringContaining(
      'Run `npx bullmq-job-status init --supabase --table nowhere` and then `supabase db push`',
    );
    await expect(store.write(completed('1'))).rejects.toMatchObject({
      code: 'ERR_STORE_SETUP',
      message,
    });
    await expect(store.list()).rejects.toMatchObject({ code: 'ERR_STORE_SETUP', message });
  });

  test('nobody at the address: unavailable, and the cause is kept', async () => {
    const store = new SupabaseStatusStore(
      createClient(`http://127.0.0.1:${await getPort()}`, 'key'),
    );
    await expect(store.write(completed('1'))).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: expect.stringContaining('fetch failed'),
      cause: { message: expect.stringContaining('fetch failed') },
    });
  });

  test.each<[number, string, JobStatusErrorCode]>([
    // What a gateway, a wrong URL or an empty page says; supabase-js takes several for a success.
    [200, '', 'ERR_STORE_SETUP'],
    [200, '{"ok":true}', 'ERR_STORE_SETUP'],
    [204, '', 'ERR_STORE_SETUP'],
    [404, '', 'ERR_STORE_SETUP'],
    [404, '[]', 'ERR_STORE_SETUP'],
    [404, '<html>not found</html>', 'ERR_STORE_SETUP'],
    [413, 'too large', 'ERR_STORE_REFUSED'],
    [413, '{"code":413,"message":"too large"}', 'ERR_STORE_REFUSED'],
    [401, '{"code":401,"message":"no"}', 'ERR_STORE_SETUP'],
    [502, '"just text"', 'ERR_STORE_UNAVAILABLE'],
    [429, 'slow down', 'ERR_STORE_UNAVAILABLE'],
    [502, '<html>bad gateway</html>', 'ERR_STORE_UNAVAILABLE'],
    [500, '{"code":"57014","message":"canceling statement"}', 'ERR_STORE_UNAVAILABLE'],
    [500, '{"code":"PGRSTX00","message":"internal"}', 'ERR_STORE_UNAVAILABLE'],
    [503, '{"code":"PGRST001","message":"no database"}', 'ERR_STORE_UNAVAILABLE'],
    [401, '{"code":"PGRST301","message":"JWT expired"}', 'ERR_STORE_SETUP'],
    [400, '{"code":"P0001","message":"a trigger of yours"}', 'ERR_STORE_REFUSED'],
  ])('a server that answers %d %j has stored nothing', async (status, body, code) => {
    await using server = await answering(status, body);
    const store = new SupabaseStatusStore(createClient(server.url, 'key'));
    const requests = [
      () => store.write(completed('1')),
      () => store.delete({ queue: 'q' }),
      () => store.prune({ olderThan: 0 }),
    ];
    for (const request of requests) {
      await expect(request()).rejects.toMatchObject({ code });
    }
  });

  test("a refusal's message has nothing of the row, whose values Postgres quotes in its details", async () => {
    const details = 'Failing row contains (q, 1, "s3cret").';
    const body = JSON.stringify({ code: '23514', message: 'violates check constraint', details });
    await using server = await answering(400, body);
    const refused = await new SupabaseStatusStore(createClient(server.url, 'key'))
      .write(completed('1'))
      .catch((error: JobStatusError) => error);
    expect(refused).toMatchObject({ code: 'ERR_STORE_REFUSED', cause: { details } });
    expect(inspect(refused)).not.toContain('s3cret');
  });

  test.each<[string, unknown[], string]>([
    [
      'no client',
      [undefined],
      "Expected `client` to be what supabase-js's createClient returns, got undefined",
    ],
    ['a URL', ['https://x.supabase.co'], 'got a string'],
    [
      'a misspelt option',
      [createClient('http://localhost', 'k'), { tabel: 'x' }],
      'Unknown key `tabel` in options; known are schema, table',
    ],
    [
      'null',
      [createClient('http://localhost', 'k'), null],
      'Expected `options` to be an object, got null',
    ],
  ])('%s is refused at once', (_, args, message) => {
    const create = () =>
      new SupabaseStatusStore(...(args as ConstructorParameters<typeof SupabaseStatusStore>));
    expect(create).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    expect(create).toThrow(message);
  });

  test('an id too long for its index is refused, found, told, and costs the others nothing', async () => {
    const store = new SupabaseStatusStore(supabaseClient());
    const told: { error: JobStatusError; jobs: string[] }[] = [];
    const batcher = createBatcher(store, resolveOptions(), (error, updates) => {
      told.push({ error, jobs: updates.map((update) => update.jobId) });
    });
    // Letters at random, for Postgres compresses repetition away.
    const long = Array.from({ length: 10_000 }, () => Math.random().toString(36)[2]).join('');
    for (let id = 0; id < 50; id++)
      for (const update of completed(id === 33 ? long : `ok-${id}`, 'long')) batcher.take(update);
    await expect(batcher.flush()).rejects.toMatchObject({
      code: 'ERR_FLUSH_INCOMPLETE',
      updates: [{ jobId: long }],
    });
    expect(told.map(({ jobs }) => jobs)).toEqual([[long]]);
    expect(told[0]?.error).toMatchObject({ code: 'ERR_STORE_REFUSED', cause: { code: '54000' } });
    expect(await store.count({ queue: 'long' })).toBe(49);
  });

  test('an aborted request ends at once', async () => {
    const store = new SupabaseStatusStore(supabaseClient());
    await expect(
      store.write(completed('1'), { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  });
});

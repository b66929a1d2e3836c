import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { askStore } from '../../src/ask-store.ts';
import { JobStatusError } from '../../src/errors.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test('an answer in time is given, and leaves no timer', async () => {
  expect(await askStore({ timeoutMs: 1_000 }, async () => 5)).toBe(5);
  expect(vi.getTimerCount()).toBe(0);
});

test('one that does not come is given up in time, and the store is told', async () => {
  let told: unknown;
  const asked = askStore({ timeoutMs: 1_000 }, (signal) => {
    signal.addEventListener('abort', () => (told = signal.reason));
    return new Promise(() => {});
  });
  const failed = expect(asked).rejects.toMatchObject({
    code: 'ERR_STORE_TIMEOUT',
    message: 'The store did not answer within 1000 ms',
  });
  await vi.advanceTimersByTimeAsync(999);
  expect(told).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1);
  await failed;
  expect(told).toMatchObject({ code: 'ERR_STORE_TIMEOUT' });
});

test('it may be given up sooner, also before it is asked', async () => {
  const over = new AbortController();
  const asked = askStore({ timeoutMs: 1_000, sooner: over.signal }, () => new Promise(() => {}));
  over.abort(new Error('closed'));
  await expect(asked).rejects.toMatchObject({ cause: { message: 'closed' } });
  await expect(askStore({ timeoutMs: 1_000, sooner: over.signal }, async () => 5)).rejects.toThrow(
    'closed',
  );
  expect(vi.getTimerCount()).toBe(0);
});

test('what a store throws or rejects with has a code of a store’s, and its own where that is one', async () => {
  const refused = new JobStatusError('ERR_STORE_REFUSED', 'no');
  await expect(askStore({ timeoutMs: 1_000 }, () => Promise.reject(refused))).rejects.toBe(refused);
  for (const call of [
    () => Promise.reject(new Error('no')),
    () => {
      throw new Error('no');
    },
  ])
    await expect(askStore({ timeoutMs: 1_000 }, call)).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: 'The store failed: no',
    });
});

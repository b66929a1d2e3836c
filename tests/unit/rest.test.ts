import { expect, test } from 'vitest';
import { asStoreError, JobStatusError } from '../../src/errors.ts';
import { restAfter } from '../../src/rest.ts';

const BACKOFF = { minMs: 100, maxMs: 1_000 };

/** The least and the most of many draws, after so many failures, of a store that asks for so much. */
function drawn(failures: number, retryAfterMs?: number): [number, number] {
  const asked = retryAfterMs === undefined ? {} : { retryAfterMs };
  const error = new JobStatusError('ERR_STORE_UNAVAILABLE', 'away', asked);
  const rests = Array.from({ length: 1_000 }, () => restAfter(error, failures, BACKOFF, 30_000));
  return [Math.min(...rests), Math.max(...rests)];
}

test.each([
  ['grows by doubling', 1, undefined, 50, 100],
  ['grows by doubling', 3, undefined, 200, 400],
  ['has a most, however often', 2_000, undefined, 500, 1_000],
  ['begins after what is asked for, and spreads over half of it', 1, 20_000, 25_000, 30_000],
  ['grants no more than its most of what is asked for', 1, 3_600_000, 37_500, 45_000],
  ['passes over what makes no sense', 1, NaN, 50, 100],
])('a rest %s', (_, failures, retryAfterMs, least, most) => {
  const [shortest, longest] = drawn(failures, retryAfterMs);
  expect(shortest).toBeGreaterThanOrEqual(least);
  expect(longest).toBeLessThanOrEqual(most);
  expect(longest - shortest).toBeGreaterThan((most - least) / 2);
});

test('what a store asks for by an error of its own making is granted too', () => {
  const own = { code: 'ERR_STORE_UNAVAILABLE', message: 'busy', retryAfterMs: 20_000 };
  const error = asStoreError(Object.assign(new Error(), own));
  expect(error).toBeInstanceOf(JobStatusError);
  expect(error).toMatchObject(own);
  expect(restAfter(error, 1, BACKOFF, 30_000)).toBeGreaterThanOrEqual(25_000);
});

import { expect, test } from 'vitest';
import { createBatchSize } from '../../src/batch-size.ts';

/* How large a write may be beside what batcher-faults.test.ts has of it: by how quick the store is, and what it refuses. */

test('as many as the store takes 200 ms for, 500 at least, the full size at most', () => {
  const size = createBatchSize(2_000);
  const sizes = [
    [1, 2],
    [500, 50],
    [500, 100],
    [500, 150],
    [500, 400],
    [1, 0],
  ].map(([jobs = 0, ms = 0]) => {
    size.succeeded(jobs, ms);
    return size.now();
  });
  expect(sizes).toEqual([500, 2_000, 1_000, 666, 500, 2_000]);
});

test('never more than the full size, however quick', () => {
  const size = createBatchSize(3);
  expect(size.now()).toBe(3);
  size.succeeded(3, 1);
  expect(size.now()).toBe(3);
});

test('a store that was away is asked for the full size as before', () => {
  const size = createBatchSize(2_000);
  for (const jobs of [2_000, 1_000, 500]) size.failed(jobs);
  expect(size.now()).toBe(250);
  size.succeeded(250, 10);
  expect(size.now()).toBe(2_000);
});

test('one that has stored less meanwhile, never for more than 500 again', () => {
  const size = createBatchSize(2_000);
  for (const jobs of [2_000, 1_000]) size.failed(jobs);
  size.succeeded(500, 10);
  size.failed(2_000);
  for (let write = 0; write < 5; write++) {
    size.succeeded(500, 10);
    expect(size.now()).toBe(500);
  }
});

test('once more than 500 were too large, never more than 500 again', () => {
  const size = createBatchSize(2_000);
  size.tooLarge(500);
  expect(size.now()).toBe(2_000);
  size.tooLarge(501);
  expect(size.now()).toBe(500);
  size.succeeded(500, 1);
  expect(size.now()).toBe(500);
});

import { attachQueueTracking, attachStatusTracking, type StatusTracker } from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { ended } from '../support/queues.ts';
import { agree } from '../support/truth.ts';
import { isFull, record } from './support/figures.ts';
import type { HttpFault } from './support/http-proxy.ts';
import { addJobs } from './support/load.ts';
import { openStage, type Stage } from './support/stage.ts';

/* What gateways, quotas and keys do to an HTTP API, while jobs run. */

vi.setConfig({ testTimeout: 240_000 });

const OUTAGE_MS = isFull ? 20_000 : 1_500;
const JOBS_PER_SECOND = 200;

const PAGE = `<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>${'<p>cloudflare</p>'.repeat(2_000)}</body></html>`;
const html = { 'content-type': 'text/html' };

describe.each<[string, HttpFault, code: string]>([
  ['500', { status: 500, body: '{"message":"internal error"}' }, 'ERR_STORE_UNAVAILABLE'],
  ['503', { status: 503, body: '' }, 'ERR_STORE_UNAVAILABLE'],
  ['a gateway’s page, 502', { status: 502, headers: html, body: PAGE }, 'ERR_STORE_UNAVAILABLE'],
  [
    'a page in place of an answer, 200',
    { status: 200, headers: html, body: PAGE },
    'ERR_STORE_SETUP',
  ],
  [
    'a key that was taken back, 401',
    { status: 401, body: '{"message":"Invalid API key"}' },
    'ERR_STORE_SETUP',
  ],
  ['hung requests', 'hang', 'ERR_STORE_TIMEOUT'],
  ['answers that break off', 'truncate', 'ERR_STORE_UNAVAILABLE'],
])('%s', (what, fault, code) => {
  test('no job fails, each outage is told by its code, and every row is right after it', async () => {
    await using stage = await openStage();
    const worker = stage.worker(async () => 1, { concurrency: 20 });
    let failed = 0;
    worker.on('failed', () => void (failed += 1));
    const { onError, logger } = stage.output;
    const options = {
      backoff: { minMs: 20, maxMs: 200 },
      writeTimeoutMs: fault === 'hang' ? 300 : 30_000,
      onError,
      logger,
    };
    const tracker = attachStatusTracking(worker, stage.supabaseStore(), options);
    void worker.run();
    const load = addJobs([stage.queue], JOBS_PER_SECOND, {});
    await expect.poll(() => tracker.stats().written).toBeGreaterThan(20);
    stage.api.answers(fault);
    await sleep(OUTAGE_MS);
    const { pending, lagMs } = tracker.stats();
    stage.api.answers('pass');
    await load.stop();
    await agree(stage.store, stage.queue, load.added(), 60_000);
    expect(failed).toBe(0);
    expect(Object.keys(stage.output.counts())).toEqual([code]);
    const longest = Math.max(...stage.output.errors.map(({ message }) => message.length));
    expect(longest).toBeLessThan(500);
    record({
      fault: 'the API answers with faults',
      load: `${JOBS_PER_SECOND} jobs/s`,
      injected: `${what}, for ${OUTAGE_MS / 1_000} s: ${pending} waited up to ${lagMs} ms`,
      rowsWrong: `0 of ${load.added()}`,
      updatesLost: String(tracker.stats().dropped),
    });
  });
});

/** Twenty trackers, each of a worker of its own that has run some jobs. */
async function twenty(stage: Stage, jobs: number): Promise<StatusTracker[]> {
  const options = { backoff: { minMs: 100, maxMs: 1_000 }, onError: stage.output.onError };
  const workers = Array.from({ length: 20 }, () =>
    stage.worker(async () => 1, { concurrency: 10 }),
  );
  const trackers = workers.map((worker, at) =>
    attachStatusTracking(worker, stage.supabaseStore(String(at)), options),
  );
  const done = Promise.withResolvers<void>();
  let left = jobs;
  for (const worker of workers) worker.on('completed', () => --left === 0 && done.resolve());
  for (const worker of workers) void worker.run();
  await stage.queue.addBulk(Array.from({ length: jobs }, () => ({ name: 'job', data: {} })));
  await done.promise;
  return trackers;
}

/** Updates given up, by all of them. */
function lostBy(trackers: readonly StatusTracker[]): string {
  return String(trackers.reduce((sum, each) => sum + each.stats().dropped, 0));
}

/** How many of these times lie in the fullest window of so many ms. */
function fullest(times: readonly number[], ms: number): number {
  return Math.max(
    ...times.map((from) => times.filter((at) => at >= from && at < from + ms).length),
  );
}

test('twenty trackers do not come back at once', async () => {
  await using stage = await openStage();
  stage.api.answers({ status: 503 });
  const trackers = await twenty(stage, 2_000);
  // Until pauses have grown long, so that the first tries, which the jobs set off, are past.
  await expect
    .poll(() => Math.min(...trackers.map((each) => each.stats().retried)), { timeout: 20_000 })
    .toBeGreaterThanOrEqual(5);
  const from = performance.now();
  await sleep(3_000);
  const times = stage.api.requests.map(({ at }) => at).filter((at) => at > from);
  const most = fullest(times, 50);
  // By lot some 0.05 s / 0.75 s of twenty: 1.3 on average.
  expect(times.length).toBeGreaterThan(40);
  expect(most).toBeLessThanOrEqual(14);
  stage.api.answers('pass');
  await agree(stage.store, stage.queue, 2_000, 30_000);
  record({
    fault: 'twenty trackers return',
    load: '2,000 jobs',
    injected: `503 until each had failed 5 times; then at most ${most} of 20 in any 50 ms`,
    rowsWrong: '0 of 2,000',
    updatesLost: lostBy(trackers),
  });
});

test.each<[string, () => string]>([
  ['a number of seconds', () => '2'],
  // Whose milliseconds are cut off.
  ['a date', () => new Date(Date.now() + 3_000).toUTCString()],
])(
  'Retry-After is obeyed by each of twenty trackers, as %s, and not by all in the same moment',
  async (form, header) => {
    await using stage = await openStage();
    stage.api.answers(() => ({ status: 429, headers: { 'retry-after': header() } }));
    const trackers = await twenty(stage, 1_000);
    const isRefused = (fault: HttpFault) => typeof fault === 'object';
    const refused = () => stage.api.requests.filter(({ fault }) => isRefused(fault));
    const isBusy = trackers.map((each) => each.stats().pending > 0 || each.stats().written > 0);
    const busy = isBusy.filter(Boolean).length;
    await expect.poll(() => new Set(refused().map(({ tracker }) => tracker)).size).toBe(busy);
    stage.api.answers('pass');
    await agree(stage.store, stage.queue, 1_000, 30_000);
    const gaps: number[] = [];
    const returned: number[] = [];
    for (let tracker = 0; tracker < 20; tracker++) {
      const own = stage.api.requests.filter((each) => each.tracker === String(tracker));
      for (const [at, { fault }] of own.entries()) {
        const next = own[at + 1];
        if (!isRefused(fault) || next === undefined) continue;
        gaps.push(next.at - own[at]!.at);
        returned.push(next.at);
      }
    }
    expect(gaps.length).toBeGreaterThanOrEqual(busy);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_990);
    const most = fullest(returned, 50);
    expect(most).toBeLessThanOrEqual(14);
    record({
      fault: 'Retry-After',
      load: '1,000 jobs, 20 trackers',
      injected: `429 with Retry-After as ${form}, of 2 s or little more: the first came back after ${Math.round(Math.min(...gaps))} ms, at most ${most} of them in any 50 ms`,
      rowsWrong: '0 of 1,000',
      updatesLost: lostBy(trackers),
    });
  },
);

test('Retry-After is obeyed where a queue is tracked, too', async () => {
  await using stage = await openStage();
  const { onError } = stage.output;
  const tracker = attachQueueTracking(stage.queue, stage.supabaseStore('queue'), { onError });
  await tracker.flush();
  const answers = () => stage.api.requests.filter(({ fault }) => typeof fault === 'object');
  stage.api.answers((request) =>
    request.method === 'POST' ? { status: 429, headers: { 'retry-after': '3' } } : 'pass',
  );
  const worker = stage.worker(async () => 1);
  void worker.run();
  for (let n = 0; n < 5; n++) await stage.queue.add('job', {}, { removeOnComplete: true });
  await expect.poll(() => answers().length).toBeGreaterThanOrEqual(1);
  await sleep(2_000);
  expect(answers().length).toBe(1);
  stage.api.answers('pass');
  await tracker.close();
});

test('Retry-After is obeyed by what reads rows for a queue, too', async () => {
  await using stage = await openStage();
  stage.api.answers({ status: 429, headers: { 'retry-after': '3' } });
  const { onError } = stage.output;
  const tracker = attachQueueTracking(stage.queue, stage.supabaseStore('queue'), { onError });
  await expect.poll(() => stage.api.requests.length).toBe(1);
  await sleep(2_000);
  expect(stage.api.requests.length).toBe(1);
  stage.api.answers('pass');
  await tracker.flush();
  await tracker.close();
});

test('the first success drains at the full batch size', async () => {
  await using stage = await openStage();
  stage.api.answers({ status: 503 });
  const worker = stage.worker(async () => 1, { concurrency: 50 });
  const options = { backoff: { minMs: 50, maxMs: 400 }, onError: stage.output.onError };
  const tracker = attachStatusTracking(worker, stage.supabaseStore(), options);
  const end = ended(worker, 5_000);
  await stage.queue.addBulk(Array.from({ length: 5_000 }, () => ({ name: 'job', data: {} })));
  void worker.run();
  await end;
  await expect.poll(() => tracker.stats().retried).toBeGreaterThanOrEqual(9);
  stage.api.answers('pass');
  const before = stage.api.requests.length;
  await expect.poll(() => tracker.stats().pending).toBe(0);
  const writes = stage.api.requests.length - before;
  // One to find out that it is back, one of 500 to see how quick it is, and large ones.
  expect(writes).toBeLessThanOrEqual(8);
  await agree(stage.store, stage.queue, 5_000);
  record({
    fault: 'the first success after an outage',
    load: '5,000 jobs',
    injected: `503 for ${tracker.stats().retried} writes; then all in ${writes} writes of up to 2,000`,
    rowsWrong: '0 of 5,000',
    updatesLost: lostBy([tracker]),
  });
});

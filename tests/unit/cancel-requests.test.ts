import { beforeEach, expect, test } from 'vitest';
import { createCancelRequests, type CancellableJob } from '../../src/cancel-requests.ts';
import { resolveOptions } from '../../src/options.ts';
import { snapshotOfQueued } from '../../src/queue-snapshot.ts';
import { MemoryStatusStore } from '../../src/stores/memory.ts';
import { createTracker } from '../../src/tracker.ts';
import { FakeReader } from '../support/fake-reader.ts';
import { JOB } from '../support/fake-worker.ts';

const REQUEST = { requestedOn: 1, by: null, reason: 'enough' };

let reader: FakeReader;
let store: MemoryStatusStore;
let aborted: unknown[];
let removed: string[];

beforeEach(() => {
  reader = new FakeReader();
  store = new MemoryStatusStore();
  aborted = [];
  removed = [];
});

function requests() {
  const tracker = createTracker({ queue: 'q', worker: 'w' }, store, resolveOptions());
  const worker = { cancelJob: (...args: unknown[]) => aborted.push(args) > 0 };
  return createCancelRequests(worker, reader, tracker);
}

/** A job at an attempt, as its worker has it. */
function job(attempt: number): CancellableJob {
  const remove = async () => removed.push('1');
  return { ...JOB, id: '1', stacktrace: null, attemptsStarted: attempt, remove };
}

/** A row of an attempt, whose cancellation somebody asked for. */
async function asked(state: 'active' | 'delayed', attempt: number): Promise<void> {
  const seen = new FakeReader().put('1', state, { attemptsStarted: attempt }).jobs.get('1')!;
  const { capture, observation } = createTracker(
    { queue: 'q', worker: null },
    store,
    resolveOptions(),
  );
  await store.write([{ ...snapshotOfQueued(seen, observation(), capture), cancellation: REQUEST }]);
}

test('a running job whose row asks for it is aborted, once, and is not tried again', async () => {
  await asked('active', 1);
  const running = job(1);
  const look = requests();
  await look.look([running], []);
  await look.look([running], []);
  expect(aborted).toEqual([['1', 'enough']]);
  expect(running.opts.attempts).toBe(1);
});

test('a request of the attempt before, in a row that lags behind, is not for this one', async () => {
  await asked('active', 1);
  await requests().look([job(2)], []);
  expect(aborted).toEqual([]);
  await asked('delayed', 1);
  reader.put('1', 'delayed', { attemptsStarted: 1 });
  await requests().look([], [job(2)]);
  expect(removed).toEqual([]);
});

test.each([
  ['delayed', 1, ['1']],
  ['waiting', 1, ['1']],
  ['active', 2, []],
  ['delayed', 2, []],
  ['completed', 1, []],
] as const)(
  'one that departed and is %s at attempt %i now: taken out %j',
  async (state, attempt, out) => {
    await asked('delayed', 1);
    reader.put('1', state, { attemptsStarted: attempt });
    await requests().look([], [job(1)]);
    expect(removed).toEqual(out);
  },
);

test('nothing is asked where nothing ran long', async () => {
  store.list = () => Promise.reject(new Error('not to be asked'));
  await requests().look([], []);
  expect(reader.calls).toEqual([]);
});

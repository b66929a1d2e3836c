import { createHash } from 'node:crypto';
import type { StatusStore } from '../../store.ts';
import type { StatusUpdate } from '../../types.ts';
import { messageOf } from '../../errors.ts';
import { expectNothing } from '../failure.ts';
import { JobHistory } from '../histories.ts';
import { isRefused, keyed, newQueue, shuffles, type LawTest } from '../kit.ts';
import { drawHistories } from '../random-histories.ts';
import { holdRows, shareRows, sideBySide, wrongRow } from '../telling.ts';
import { throughBatcher } from '../through-batcher.ts';

/** The store as it is on a bad night: of five writes one fails before it is done, one after. */
function failingNowAndThen(store: StatusStore): StatusStore {
  let writes = 0;
  return {
    get: (key) => store.get(key),
    async write(updates, options) {
      const turn = writes++ % 5;
      if (turn === 0) throw new Error('not done');
      await store.write(updates, options);
      if (turn === 2) throw new Error('done, but the answer is lost');
    },
  };
}

/** Not snapshots, though they have a key; no store can make a row of them. */
function noSnapshots(): Record<string, StatusUpdate> {
  const [snapshot] = new JobHistory().start().snapshots as [StatusUpdate];
  const without = (field: keyof StatusUpdate) => ({ ...snapshot, [field]: null }) as StatusUpdate;
  return {
    'without createdAt': without('createdAt'),
    'null in its place': null as never,
  };
}

/** Text of no order, so that nothing compresses it. */
function incompressible(length: number, seed: number): string {
  const hash = createHash('shake256', { outputLength: length / 2 });
  return hash.update(String(seed)).digest('hex');
}

export const delivery: readonly LawTest[] = [
  {
    name: 'Delivery: what write has resolved for can be read at once',
    async run(kit) {
      const store = await kit.open();
      for (let round = 0; round < 3; round++) {
        const jobs = sideBySide(
          Array.from({ length: 120 }, () => new JobHistory().start().complete().snapshots),
        );
        await store.write(jobs.flat());
        // The last first: by then nothing else has been waited for.
        await holdRows('Delivery', kit, store, jobs.toReversed(), 'all in one write');
      }
    },
  },
  {
    name: 'Delivery: what was read before a write is read anew after it, in another store too',
    async run(kit) {
      const stores = [await kit.open(), await kit.open()] as const;
      const areShared = await shareRows(kit, stores);
      const told = keyed(new JobHistory().start().progress().complete().snapshots, {
        queue: newQueue(),
        jobId: '1',
      });
      const [key] = told as [StatusUpdate];
      const wrong: string[] = [];
      for (const at of told.keys()) {
        for (const store of stores) await store.get(key);
        await stores[0].write(told.slice(at, at + 1));
        for (const store of areShared ? stores : stores.slice(0, 1)) {
          const found = await wrongRow(store, told.slice(0, at + 1));
          wrong.push(...found.map((line) => `after write ${at + 1}: ${line}`));
        }
      }
      expectNothing('Delivery', kit, 'A row that is read before each write and after it', wrong);
    },
  },
  {
    name: 'Delivery: what is no snapshot is rejected, and the store goes on',
    async run(kit) {
      const store = await kit.open();
      const wrong: string[] = [];
      for (const [what, update] of Object.entries(noSnapshots())) {
        const key = { queue: newQueue(), jobId: '1' };
        const bad = update === null ? update : { ...update, ...key };
        if (!(await isRefused(async () => store.write([bad]))))
          wrong.push(`a write of a snapshot ${what} resolved: its error was swallowed`);
        const good = keyed(new JobHistory().start().snapshots, key);
        const found = await store.write(good).then(
          () => wrongRow(store, good),
          (thrown: unknown) => [`rejected: ${messageOf(thrown)}`],
        );
        wrong.push(...found.map((line) => `and a good one then: ${line}`));
      }
      expectNothing('Delivery', kit, 'Writes that can only fail', wrong);
    },
  },
  {
    name: 'Delivery: what a database that is out of reach does not store, or tell, is rejected',
    async run(kit) {
      const store = await kit.openUnavailable?.();
      if (store === undefined) return 'not there';
      const [snapshot] = new JobHistory().start().snapshots as [StatusUpdate];
      const key = { queue: newQueue(), jobId: '1' };
      const methods = {
        write: () => store.write([{ ...snapshot, ...key }]),
        get: () => store.get(key),
        attempts: store.attempts && (() => store.attempts?.(key)),
        list: store.list && (() => store.list?.({ queue: key.queue })),
        count: store.count && (() => store.count?.({ queue: key.queue })),
        delete: store.delete && (() => store.delete?.({ queue: key.queue })),
        prune: store.prune && (() => store.prune?.({ olderThan: new Date(0) })),
      };
      // All at once: clients try again for seconds before they give up.
      const asked = Object.entries(methods).map(async ([method, ask]) => {
        const isAsked = ask !== undefined;
        return isAsked && !(await isRefused(ask)) ? [`${method} resolved`] : [];
      });
      const wrong = (await Promise.all(asked)).flat();
      expectNothing('Delivery', kit, 'Without a database', wrong);
      return undefined;
    },
  },
  {
    name: 'Delivery: what is too large is rejected, or else it is there',
    async run(kit) {
      const store = await kit.open();
      const [snapshot] = new JobHistory().start().snapshots as [StatusUpdate];
      const wrong: string[] = [];
      for (const [what, large] of Object.entries({
        'an id of 4,000 characters': { jobId: incompressible(4_000, kit.seed) },
        'a name of 20,000 characters': { name: incompressible(20_000, kit.seed) },
        'a result of 1 MB': { result: incompressible(2 ** 20, kit.seed) },
      })) {
        const update = { ...snapshot, queue: newQueue(), jobId: '1', ...large };
        if (await isRefused(() => store.write([update]))) continue;
        wrong.push(...(await wrongRow(store, [update])).map((line) => `${what}: ${line}`));
      }
      expectNothing('Delivery', kit, 'Writes that resolved', wrong);
    },
  },
  {
    name: 'Delivery: random histories through the batcher, while writes fail and answers are lost',
    async run(kit) {
      const opened = await kit.open();
      const store = throughBatcher(failingNowAndThen(opened), {
        maxBatchSize: 50,
        flushTimeoutMs: 20_000,
      });
      const jobs = sideBySide(drawHistories(kit));
      const [told = []] = shuffles(jobs.flat(), 1, kit.seed);
      // One that can't be written to at all says so here, and not after all the time that a batcher gives it.
      await opened.write(told.slice(0, 1));
      for (let at = 0; at < told.length; at += 500) await store.write(told.slice(at, at + 500));
      await holdRows('Delivery', kit, opened, jobs, 'all in one write');
    },
  },
];

import { setImmediate } from 'node:timers/promises';
import { eachAtOnce } from '../../at-once.ts';
import type { StatusStore } from '../../store.ts';
import type { StatusUpdate } from '../../types.ts';
import { differences } from '../differences.ts';
import { broken, indent } from '../failure.ts';
import { historyTable } from '../history-table.ts';
import { JobHistory } from '../histories.ts';
import { keyed, shuffles, type Kit, type LawTest } from '../kit.ts';
import { foldHistory } from '../law.ts';
import { drawHistories } from '../random-histories.ts';
import { holdRows, shareRows, sideBySide, tellAtOnce } from '../telling.ts';

const AT_ONCE = 'each in a write of its own, all at once';

/** Of these any that is overwritten shows: starts, errors, values and a cancellation come from one each. */
function crossed(): StatusUpdate[] {
  return new JobHistory()
    .start(1, 900)
    .progress(1, { page: 1 })
    .fail(1, 0)
    .start(1, -900)
    .cancel(1, 'u1')
    .progress(1, { page: 2 })
    .complete(1, { pages: 2 }).snapshots;
}

/** Each snapshot of many jobs in a batch with those of the others; all batches at once, in crossing orders. */
async function collide(kit: Kit, stores: readonly StatusStore[], round: number): Promise<void> {
  const jobs = sideBySide(Array.from({ length: 20 }, crossed));
  const steps = crossed().length;
  const batches = Array.from({ length: steps }, (_, step) => {
    const batch = jobs.flatMap((job) => job.slice(step, step + 1));
    return shuffles(batch, 1, kit.seed + round * steps + step)[0] ?? [];
  });
  // With a row there already: what is inserted on condition may still be changed without one.
  const [first = []] = batches.splice(round % steps, 1);
  await stores[0]?.write(first);
  const writers = batches.map((batch, at) => {
    const store = stores[(at + round) % stores.length] as StatusStore;
    return store.write(batch);
  });
  await Promise.all(writers);
  await holdRows('Atomicity', kit, inTurns(stores), jobs, AT_ONCE);
}

/** Several stores as one, each of which writes in its turn. */
function inTurns(stores: readonly StatusStore[]): StatusStore {
  let writes = 0;
  const [first] = stores as [StatusStore];
  return {
    write(updates) {
      // By the ones of a binary number, so that any two snapshots come from one store, and from two.
      const turn = (writes++).toString(2).replaceAll('0', '').length % stores.length;
      return (stores[turn] ?? first).write(updates);
    },
    get: (key) => first.get(key),
  };
}

/** The rows that any of the snapshots, told so far, may have made: one for each set of them. */
function possibleRows(history: readonly StatusUpdate[]) {
  const sets = Array.from({ length: 2 ** history.length - 1 }, (_, bits) =>
    history.filter((_snapshot, at) => ((bits + 1) >> at) % 2 === 1),
  );
  return sets.map(foldHistory);
}

export const atomicity: readonly LawTest[] = [
  {
    name: "Atomicity: writers at once lose nothing of each other's",
    async run(kit) {
      const store = await kit.open();
      for (let round = 0; round < 5; round++) await collide(kit, [store], round);
    },
  },
  {
    name: "Atomicity: two stores on the same rows lose nothing of each other's",
    async run(kit) {
      const stores = [await kit.open(), await kit.open()] as const;
      // Where each has rows of its own there is nobody to cross.
      if (!(await shareRows(kit, stores))) return 'not there';
      for (let round = 0; round < 5; round++) await collide(kit, stores, round);
      return undefined;
    },
  },
  {
    name: 'Atomicity: the same batches from four writers at once',
    async run(kit) {
      const store = await kit.open();
      const jobs = sideBySide(Array.from({ length: 50 }, crossed));
      const writers = [0, 1, 2, 3].map(async (writer) => {
        const [told = []] = shuffles(jobs.flat(), 1, kit.seed + writer);
        await tellAtOnce(store, told, { writers: 1, max: 60, seed: kit.seed + writer });
      });
      await Promise.all(writers);
      await holdRows('Atomicity', kit, store, jobs, AT_ONCE);
    },
  },
  {
    name: 'Atomicity: random histories, scattered over four writers at once',
    async run(kit) {
      const store = await kit.open();
      const jobs = sideBySide(drawHistories(kit));
      const [told = []] = shuffles(jobs.flat(), 1, kit.seed);
      await tellAtOnce(store, told, { writers: 4, max: 60, seed: kit.seed });
      await holdRows('Atomicity', kit, store, jobs, AT_ONCE);
    },
  },
  {
    name: 'Atomicity: no reader sees a row half written',
    async run(kit) {
      const store = await kit.open();
      const history = crossed().slice(0, 6);
      const possible = possibleRows(history);
      let isWriting = true;
      const jobs = sideBySide(Array.from({ length: 5 }, () => history));
      const written = eachAtOnce(5, jobs, async (job) => {
        for (const snapshot of job) await store.write([snapshot]);
      }).finally(() => (isWriting = false));
      const read = eachAtOnce(5, jobs, async ([key]) => {
        const { queue, jobId } = key as StatusUpdate;
        let wasThere = false;
        do {
          // Lets writers have their turn, where reads answer at once.
          await setImmediate();
          const row = await store.get({ queue, jobId });
          if (row === undefined && !wasThere) continue;
          wasThere = true;
          const wrong =
            row === undefined
              ? [['the row that was there is gone']]
              : possible.map((each) => differences({ ...each, queue, jobId }, row));
          if (wrong.some((each) => each.length === 0)) continue;
          const told = keyed(history, { queue, jobId });
          const lines = [
            'While this history was written, one snapshot after the other,',
            ...indent(historyTable(told, [])),
            'a row was read that no set of these snapshots makes. What differs from the nearest:',
            ...indent(wrong.toSorted((a, b) => a.length - b.length)[0] ?? []),
          ];
          throw broken('Atomicity', kit, lines, told);
        } while (isWriting);
      });
      await Promise.all([written, read]);
    },
  },
];

import { canonicalHistories } from '../canonical.ts';
import { JobHistory } from '../histories.ts';
import { cut, dice, shuffles, type LawTest } from '../kit.ts';
import { drawHistories } from '../random-histories.ts';
import { holdRows, holdStepByStep, sideBySide } from '../telling.ts';

const ONE_BY_ONE = 'each in a write of its own, one after the other';

export const merge: readonly LawTest[] = [
  {
    name: 'Snapshot: any one of them, alone, makes a row',
    async run(kit) {
      const each = Object.values(canonicalHistories()).flatMap((history) =>
        history.map((snapshot) => [snapshot]),
      );
      await holdStepByStep('Snapshot', kit, each, 0);
    },
  },
  {
    name: 'Merge: the newer facts stand whole, and nothing of older values is mixed in',
    async run(kit) {
      const histories = [
        new JobHistory()
          .start()
          .progress(1, { done: 1, of: { pages: 9 } })
          .progress(1, { of: {} }),
        new JobHistory().start().progress(1, [1, 2, 3]).progress(1, [4]),
        new JobHistory().start().progress(1, { a: 1 }).progress(1, null),
        new JobHistory().start().fail(1, 0).start().complete(1, null),
        new JobHistory()
          .start()
          .complete(1, { a: 1 })
          .retryByHand(10)
          .start()
          .complete(1, { b: 2 }),
      ];
      const orders = histories.flatMap(({ snapshots }) => [snapshots, snapshots.toReversed()]);
      await holdStepByStep('Merge', kit, orders, orders.length);
    },
  },
  {
    name: 'Merge: of an older snapshot an earlier start is kept, of another job with its id nothing',
    async run(kit) {
      const histories = [
        new JobHistory().start().fail(1, 0).start(40).complete(),
        new JobHistory().start().fail().addAgain(2).start().complete(),
      ];
      const orders = histories.flatMap(({ snapshots }) => [snapshots, snapshots.toReversed()]);
      await holdStepByStep('Merge', kit, orders, orders.length);
    },
  },
  {
    name: 'Merge: a job that stands in one batch several times',
    async run(kit) {
      const store = await kit.open();
      const jobs = sideBySide(Object.values(canonicalHistories()));
      await store.write(shuffles(jobs.flat(), 1, kit.seed)[0] ?? []);
      await holdRows('Merge', kit, store, jobs, 'all in one write');
    },
  },
  {
    name: 'Repetition: a batch told again, at once and later, and each of its snapshots alone',
    async run(kit) {
      const store = await kit.open();
      const jobs = sideBySide(Object.values(canonicalHistories()));
      const batches = cut(jobs.flat(), 20, kit.seed);
      for (const batch of batches) {
        await store.write(batch);
        await store.write(batch);
      }
      for (const batch of batches.toReversed())
        await store.write([...batch, ...batch.toReversed()]);
      const twice = jobs.map((job) => [...job, ...job]);
      await holdRows('Repetition', kit, store, twice, ONE_BY_ONE);
      const some = jobs.flatMap((job) => [job[0], job.at(-1)]).filter((each) => each !== undefined);
      for (const snapshot of some) await store.write([snapshot]);
      await holdRows('Repetition', kit, store, twice, ONE_BY_ONE);
    },
  },
  {
    name: 'Loss: random histories of which any snapshots are lost',
    async run(kit) {
      const histories = drawHistories(kit).map((history, at) => {
        const lots = dice(2, history.length, kit.seed + at);
        return history.filter((_, place) => lots[place] === 0);
      });
      const left = histories.filter((history) => history.length > 0);
      await holdStepByStep('Loss', kit, left, 10);
    },
  },
];

import { canonicalHistories } from '../canonical.ts';
import { expectNothing } from '../failure.ts';
import { JobHistory } from '../histories.ts';
import { cut, keyed, newQueue, shuffles, type LawTest } from '../kit.ts';
import { show } from '../differences.ts';
import { drawHistories } from '../random-histories.ts';
import { holdRows, holdStepByStep, sideBySide, tellAtOnce, wrongAttempts } from '../telling.ts';

const needs = 'attempts';

export const attempts: readonly LawTest[] = [
  {
    name: 'Attempts: of every canonical history, told in any order, at every step',
    needs,
    async run(kit) {
      const orders = Object.values(canonicalHistories()).flatMap((history) => [
        history,
        history.toReversed(),
        ...shuffles(history, 2, kit.seed),
      ]);
      await holdStepByStep('Attempts', kit, orders, orders.length, wrongAttempts);
    },
  },
  {
    name: 'Attempts: of random histories, scattered over four writers at once',
    needs,
    async run(kit) {
      const store = await kit.open();
      const jobs = sideBySide(drawHistories(kit));
      const [told = []] = shuffles(jobs.flat(), 1, kit.seed);
      await tellAtOnce(store, told, { writers: 4, max: 60, seed: kit.seed });
      const how = 'each in a write of its own, all at once';
      await holdRows('Attempts', kit, store, jobs, how, wrongAttempts);
    },
  },
  {
    name: 'Attempts: of very many the last 50 are kept beside that of the row',
    needs,
    async run(kit) {
      const history = new JobHistory();
      for (let attempt = 1; attempt <= 70; attempt++) history.start(3, attempt % 7).fail(1, 0);
      const { snapshots } = history.start();
      const store = await kit.open();
      const orders = [snapshots, snapshots.toReversed(), ...shuffles(snapshots, 3, kit.seed)];
      const jobs = sideBySide(orders);
      for (const job of jobs) for (const batch of cut(job, 20, kit.seed)) await store.write(batch);
      const how = 'each in a write of its own, one after the other';
      await holdRows('Attempts', kit, store, jobs, how, wrongAttempts);
    },
  },
  {
    name: 'Attempts: of a job that is not there, none',
    needs,
    async run(kit) {
      const store = await kit.open();
      const queue = newQueue();
      await store.write(keyed(new JobHistory().start().snapshots, { queue, jobId: '1' }));
      const none = await store.attempts?.({ queue, jobId: '2' });
      const wrong = Array.isArray(none) && none.length === 0 ? [] : [`attempts gave ${show(none)}`];
      expectNothing('Attempts', kit, 'Of an id that was never written', wrong);
    },
  },
];

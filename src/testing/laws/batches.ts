import { JobHistory } from '../histories.ts';
import { shuffles, type LawTest } from '../kit.ts';
import { holdRows, sideBySide } from '../telling.ts';

/** One more than what stores cut batches into, among others, and as many as trackers write at once. */
const SIZES = [1, 2, 3, 11, 26, 101, 501, 2_000];

export const batches: readonly LawTest[] = [
  {
    name: 'Batches: an empty one is no error',
    run: async (kit) => (await kit.open()).write([]),
  },
  ...SIZES.map((size): LawTest => ({
    name: `Batches: of ${size} jobs each is stored, the last too`,
    async run(kit) {
      const store = await kit.open();
      const { snapshots } = new JobHistory().start().complete();
      const jobs = sideBySide(
        Array.from({ length: size }, (_, n) => [
          {
            ...snapshots[n % 2 === 0 ? 1 : 0],
            result: n,
            name: `job ${n}`,
          } as (typeof snapshots)[0],
        ]),
      );
      await store.write(jobs.flat());
      await holdRows('Batches', kit, store, jobs, 'all in one write');
      // Once more, onto rows that are there: of these the first and the last few are looked at.
      const later = jobs.map((job) =>
        job.map((each) => ({ ...each, progress: 1, sequence: each.sequence + 1 })),
      );
      await store.write(later.flat().toReversed());
      const ends = [...later.slice(0, 20), ...later.slice(-20)];
      await holdRows('Batches', kit, store, ends, 'all in one write');
    },
  })),
  {
    name: 'Batches: 1,000 snapshots of one job, and of ten',
    async run(kit) {
      const store = await kit.open();
      for (const count of [1, 10]) {
        const jobs = sideBySide(
          Array.from({ length: count }, () => {
            const history = new JobHistory().start();
            for (let n = 2; n < 1_000 / count; n++) history.progress(1, n);
            return history.complete().snapshots;
          }),
        );
        await store.write(shuffles(jobs.flat(), 1, kit.seed)[0] ?? []);
        await holdRows('Batches', kit, store, jobs, 'all in one write');
      }
    },
  },
];

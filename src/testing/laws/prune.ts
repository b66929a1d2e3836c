import { finishedAt } from '../../stores/matching.ts';
import type { JobState, StatusUpdate } from '../../types.ts';
import { differences, show } from '../differences.ts';
import { expectNothing } from '../failure.ts';
import { JobHistory } from '../histories.ts';
import { alone, isRefused, keyed, newQueue, type LawTest } from '../kit.ts';
import { MANY, manyJobs } from '../many-jobs.ts';

/** Long before what a program writes: `prune` asks for no queue, so these tests run alone. */
const LONG_AGO = Date.UTC(1970, 5, 1);
const DAY_MS = 86_400_000;

export const prune: readonly LawTest[] = [
  {
    name: 'Prune: without a time or an age it is refused',
    needs: 'prune',
    run: (kit) =>
      alone(async () => {
        const store = await kit.open();
        const key = { queue: newQueue(), jobId: '1' };
        await store.write(keyed(new JobHistory().start().complete().snapshots, key));
        const wrong: string[] = [];
        const ages = [undefined, Number.NaN, -1, new Date(Number.NaN), '30d'];
        for (const options of [{}, ...ages.map((olderThan) => ({ olderThan }))])
          if (!(await isRefused(() => store.prune?.(options as never))))
            wrong.push(`prune(${show(options)}) was not refused`);
        if ((await store.get(key)) === undefined) wrong.push('rows are gone');
        expectNothing('Prune', kit, 'A prune of who knows what', wrong);
      }),
  },
  {
    name: 'Prune: jobs that ended before a time, of the statuses asked for',
    needs: 'prune',
    run: (kit) =>
      alone(async () => {
        const store = await kit.open();
        const before = (ms: number) => new Date(LONG_AGO + ms);
        await store.prune?.({ olderThan: before(1_000) });
        const queue = newQueue();
        const sentinel = keyed(manyJobs(queue, LONG_AGO + DAY_MS), { queue, jobId: 'later' });
        const told = [...manyJobs(queue, LONG_AGO), ...sentinel.slice(1, 3)];
        await store.write(told);
        const ids = [...new Set(told.map(({ jobId }) => jobId))];
        const left = async () => {
          const rows = await Promise.all(ids.map((jobId) => store.get({ queue, jobId })));
          return rows.filter((row) => row !== undefined);
        };
        let expected = await left();
        const wrong = differences({ rows: MANY + 1 }, { rows: expected.length });
        const ends = expected
          .flatMap((row) => finishedAt(row)?.getTime() ?? [])
          .toSorted((x, y) => x - y);
        const median = new Date(ends[ends.length >> 1] ?? 0);
        const steps: readonly (readonly [
          Date | (() => number),
          readonly JobState[] | undefined,
        ])[] = [
          [median, []],
          [median, ['failed']],
          [median, ['completed', 'removed']],
          [median, undefined],
          // The same as an age: of one day less than the sentinel's.
          [() => Date.now() - before(1_000).getTime(), undefined],
        ];
        for (const [when, statuses] of steps) {
          const olderThan = typeof when === 'function' ? when() : when;
          const time = typeof when === 'function' ? before(1_000) : when;
          const goes = (row: (typeof expected)[0]) => {
            const end = finishedAt(row);
            return end !== null && end < time && (statuses?.includes(row.status) ?? true);
          };
          const pruned = await store.prune?.({ olderThan, statuses: statuses as never });
          const rest = expected.filter((row) => !goes(row));
          const idsOf = (rows: typeof expected) => rows.map((row) => row.jobId).toSorted();
          wrong.push(
            ...differences(
              { pruned: expected.length - rest.length, left: idsOf(rest) },
              { pruned, left: idsOf(await left()) },
            ).map((line) => `olderThan ${show(olderThan)}, statuses ${show(statuses)}: ${line}`),
          );
          expected = rest;
        }
        expectNothing('Prune', kit, `Of ${MANY} jobs of ${before(0).toISOString()}`, wrong);
      }),
  },
  {
    name: 'Prune: all that are old enough, however many they are, unless it is to end',
    needs: 'prune',
    run: (kit) =>
      alone(async () => {
        const store = await kit.open();
        const olderThan = new Date(LONG_AGO);
        await store.prune?.({ olderThan });
        const queue = newQueue();
        const [, completed] = manyJobs(queue, LONG_AGO - DAY_MS).filter(
          ({ jobId }) => jobId === '31',
        );
        const told = Array.from({ length: 1_001 }, (_, n) => ({ ...completed, jobId: `${n}` }));
        await store.write(told.slice(0, 500) as StatusUpdate[]);
        await store.write(told.slice(500) as StatusUpdate[]);
        const wrong: string[] = [];
        const signal = AbortSignal.abort(new Error('the end'));
        if (!(await isRefused(async () => store.prune?.({ olderThan, signal }))))
          wrong.push('with a signal that was aborted before, it resolved');
        wrong.push(
          ...differences({ pruned: told.length }, { pruned: await store.prune?.({ olderThan }) }),
        );
        expectNothing('Prune', kit, `Of ${told.length} jobs that ended long ago`, wrong);
      }),
  },
];

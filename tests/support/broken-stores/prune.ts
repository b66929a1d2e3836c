import type { PruneOptions, StatusFilter } from '../../../src/store.ts';
import { MemoryStatusStore } from '../../../src/stores/memory.ts';
import { resolvePrune } from '../../../src/stores/prune.ts';
import { FINISHED_STATES } from '../../../src/types.ts';
import type { BrokenStore } from './base.ts';

/* Which rows are too old to be kept. */

/** A store that deletes other rows than those it should. */
function prunedBy(change: (options: PruneOptions) => StatusFilter) {
  return () =>
    new (class extends MemoryStatusStore {
      override async prune(options: PruneOptions) {
        resolvePrune(options);
        return super.delete(change(options));
      }
    })();
}

const timeOf = (olderThan: Date | number) =>
  typeof olderThan === 'number' ? new Date(Date.now() - olderThan) : olderThan;

export const PRUNE: readonly BrokenStore[] = [
  {
    mistake: 'jobs that have not ended are pruned too',
    law: 'Prune',
    shows: 'pruned: expected',
    createStore: prunedBy(({ olderThan, statuses }) => ({
      createdBefore: timeOf(olderThan),
      ...(statuses && { status: statuses }),
    })),
  },
  {
    mistake: 'which statuses are to be pruned is passed over',
    law: 'Prune',
    shows: "[ 'failed' ]: pruned: expected",
    createStore: prunedBy(({ olderThan }) => ({
      status: FINISHED_STATES,
      finishedBefore: timeOf(olderThan),
    })),
  },
  {
    mistake: 'removed jobs are never pruned',
    law: 'Prune',
    shows: 'pruned: expected',
    createStore: prunedBy(({ olderThan, statuses = ['completed', 'failed', 'cancelled'] }) => ({
      status: statuses.filter((status) => status !== 'removed'),
      finishedBefore: timeOf(olderThan),
    })),
  },
  {
    mistake: 'a job that ended at that very time is pruned',
    law: 'Prune',
    shows: 'pruned: expected',
    createStore: prunedBy(({ olderThan, statuses = FINISHED_STATES }) => ({
      status: statuses,
      finishedBefore: new Date(+timeOf(olderThan) + 1),
    })),
  },
  {
    mistake: 'an age in ms is taken for a time since 1970',
    law: 'Prune',
    shows: 'pruned: expected',
    createStore: prunedBy(({ olderThan, statuses = FINISHED_STATES }) => ({
      status: statuses,
      finishedBefore: new Date(olderThan),
    })),
  },
  {
    mistake: 'one step of 1,000 rows is pruned, and no more',
    law: 'Prune',
    shows: 'pruned: expected',
    createStore: () =>
      new (class extends MemoryStatusStore {
        override async prune(options: PruneOptions) {
          const { olderThan, statuses, signal } = resolvePrune(options);
          signal?.throwIfAborted();
          const query = { finishedBefore: olderThan, status: statuses };
          const { items } = await super.list({ ...query, limit: 1_000 });
          for (const { queue, jobId } of items) await super.delete({ queue, jobId });
          return items.length;
        }
      })(),
  },
  {
    mistake: 'a prune that is to end at once goes on',
    law: 'Prune',
    shows: 'aborted',
    createStore: prunedBy(({ olderThan, statuses = FINISHED_STATES }) => ({
      status: statuses,
      finishedBefore: timeOf(olderThan),
    })),
  },
  {
    mistake: 'an age in ms is taken for seconds',
    law: 'Prune',
    shows: 'pruned: expected',
    createStore: prunedBy(({ olderThan, statuses = FINISHED_STATES }) => ({
      status: statuses,
      finishedBefore: typeof olderThan === 'number' ? timeOf(olderThan * 1_000) : olderThan,
    })),
  },
];

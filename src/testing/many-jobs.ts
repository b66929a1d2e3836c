import type { StatusUpdate } from '../types.ts';
import { JobHistory, START } from './histories.ts';
import { keyed } from './kit.ts';

/** How jobs stand that a list may be asked for. */
const KINDS = [
  () => new JobHistory().start(),
  () => new JobHistory().start().complete(2),
  () => new JobHistory().start().fail(3),
  () => new JobHistory().start().fail(1, 500),
  () => new JobHistory().look().cancel(4, 'u1'),
  () => new JobHistory().look().remove().look(5),
  // Found so by a host whose clock is behind: it seems to be gone before it was added.
  () => new JobHistory().look().remove().look(5, -1_000),
];

const METADATA = [
  null,
  {},
  { org: 'a', user: 1, tags: ['x', 'y'], deep: { k: [1, { z: null }] } },
  { org: 'b', user: '1', tags: [], deep: null },
] as const;

/** How many jobs there are. */
export const MANY = 49;

/** Jobs of every kind in one queue, three to a millisecond, of four sorts of metadata, in no order. */
export function manyJobs(queue: string, start = START): StatusUpdate[] {
  return Array.from({ length: MANY }, (_, n) => {
    const history = KINDS[n % KINDS.length]?.().snapshots ?? [];
    // Started late, so that jobs end in another order than they were added in.
    const after = start - START + Math.floor(n / 3) + ((n * 11) % MANY);
    const shifted = (ms: number | null) => (ms === null ? null : ms + after);
    const told = keyed(history, { queue, jobId: `${(n * 30) % MANY}` });
    return told.map((each) => ({
      ...each,
      name: n % 8 < 2 ? 'first' : 'later',
      metadata: METADATA[(n >> 1) % METADATA.length] ?? null,
      createdAt: new Date(start + Math.floor(n / 3)),
      updatedAt: new Date(each.updatedAt.getTime() + after),
      processedOn: shifted(each.processedOn),
      firstProcessedOn: shifted(each.firstProcessedOn),
      finishedOn: shifted(each.finishedOn),
      queuedOn: shifted(each.queuedOn),
      attemptEndedOn: shifted(each.attemptEndedOn),
    }));
  }).flat();
}

/** Of each job an earlier one with its id, which differs in all that a list may be asked for. */
export function earlierLives(queue: string): StatusUpdate[] {
  const told = new JobHistory().start().fail().snapshots;
  const at = (ms: number) => START - 60_000 + ms;
  return Array.from({ length: MANY }, (_, n) =>
    keyed(told.slice(0, 1 + (n % 2)), { queue, jobId: `${n}` }).map((each) => ({
      ...each,
      name: 'earlier',
      metadata: { org: 'c' },
      createdAt: new Date(at(0)),
      updatedAt: new Date(at(100)),
      processedOn: at(10),
      firstProcessedOn: at(10),
      finishedOn: each.finishedOn === null ? null : at(20),
      attemptEndedOn: each.attemptEndedOn === null ? null : at(20),
    })),
  ).flat();
}

import type { StatusUpdate } from '../types.ts';
import { JobHistory } from './histories.ts';
import { USUAL } from './payload.ts';

/** The histories that every store must get right, whatever order their snapshots come in. */
export const CANONICAL: Readonly<Record<string, () => JobHistory>> = {
  'a fast job, all within one millisecond': () => new JobHistory().start(0).complete(0),
  'a job with progress, and progress after its end': () =>
    new JobHistory().start().progress().progress().complete().progress(),
  'one retry': () => new JobHistory().start().fail(1, 0).start().complete(),
  'three attempts on three hosts': () =>
    new JobHistory().start(1, 900).fail(1, 5).start(5, -900).fail(1, 5).start(5, 100).complete(),
  'stalled and run again elsewhere': () =>
    new JobHistory()
      .start(1, 1_000)
      .progress()
      .vanish(3_000)
      .start(1, -1_000)
      .progress()
      .complete(),
  'delayed by a DelayedError': () =>
    new JobHistory().start().vanish().start(200).vanish().start(200).complete(),
  'failed for good': () => new JobHistory().start().fail(1, 0).start().fail(1, 0).start().fail(),
  'retried by hand after failing': () =>
    new JobHistory().start().fail(1, 0).start().fail().retryByHand(60_000).start().complete(),
  'retried by hand, counters reset': () =>
    new JobHistory()
      .start()
      .fail(1, 0)
      .start()
      .fail()
      .retryByHand(6_000, true)
      .start()
      .progress()
      .complete(),
  'an id used again at once': () => new JobHistory().start().fail().addAgain(2).start().complete(),
};

const child = (n: number) => `bull:child:${n}`;

/** The same of what is read off the queue, beside what workers tell or where they tell nothing. */
export const CANONICAL_OF_QUEUES: Readonly<Record<string, () => JobHistory>> = {
  'seen waiting before it starts, and running, and ended': () =>
    new JobHistory().look().start(9_000, 900).look(1, -900).complete().look(1, -900),
  'seen by others alone': () => {
    const history = new JobHistory().look().start().look().vanish(1, 50).look().start(50).look();
    return history
      .complete()
      .look()
      .only(({ worker }) => worker === null);
  },
  'failed, seen delayed, and run again': () =>
    new JobHistory().start(1, 700).fail(1, 8_000).look(1, -700).start(8_000).look().fail(),
  'put back in silence, seen waiting, and run again elsewhere': () =>
    new JobHistory().start().progress().vanish(3_000).look(1, -1_000).start(1, 1_000).complete(),
  'removed as it waited': () => new JobHistory().look().look(6_000).remove().look(1, 500),
  'removed as it ran': () => new JobHistory().start(1, 300).look().remove().look(1, -300).look(),
  'gone before its worker told of the end': () =>
    new JobHistory().start().progress().complete().remove().look(1, 0, 1).hear(1, 0, 2),
  'removed between two attempts, its last end heard': () =>
    new JobHistory().start().fail(1, 0).look().start(20).complete().remove().hear(1, 0, 2).hear(),
  'cancelled as it waited': () => new JobHistory().look().cancel(60_000, 'u1').look(),
  'cancelled between two attempts': () =>
    new JobHistory().start().fail(1, 5_000).cancel(20, 'u1').addAgain(5).look().start(),
  'asked to end by two, and failed': () =>
    new JobHistory().start(1, 500).cancel(5, 'u1', 500).cancel(5, 'u2', -500).progress().fail(),
  'asked to end, and completed all the same': () =>
    new JobHistory().start().cancel(5, 'u1').complete().look(),
  'asked to end, failed, and run again': () =>
    new JobHistory().start().cancel(5, 'u1').fail(1, 0).look().start().complete(),
  'retried by hand, seen waiting': () =>
    new JobHistory().start().fail().retryByHand(10).look(1, -900).start(1, 900).look().complete(),
  'retried by hand, counters reset, seen waiting': () =>
    new JobHistory().start().fail(1, 0).start().fail().retryByHand(8_000, true).look().start(),
  'a parent whose children come and go': () =>
    new JobHistory()
      .adopt(1, [child(1), child(2)])
      .look()
      .adopt(1, [child(2), 'other:ch\u{1F600}:1', 'other:ch\uFF5E:1'])
      .look()
      .start()
      .look()
      .complete(),
  'a child, its scheduler, and by what it is deduplicated': () =>
    new JobHistory(undefined, {
      ...USUAL,
      lineage: {
        parent: { id: 'p1', queueKey: 'bull:parents' },
        repeatJobKey: 's1',
        deduplicationId: 'd1',
      },
    })
      .look()
      .start()
      .complete(),
};

/**
 * The histories that every store must get right, each what was told of one job, in the order in which it
 * happened, by what it is about.
 */
export function canonicalHistories(): Readonly<Record<string, StatusUpdate[]>> {
  const histories = Object.entries({ ...CANONICAL, ...CANONICAL_OF_QUEUES });
  return Object.fromEntries(histories.map(([name, tell]) => [name, tell().snapshots]));
}

import { JobHistory } from '../histories.ts';
import type { LawTest } from '../kit.ts';
import { holdStepByStep } from '../telling.ts';

/** A test of histories that are told forwards and backwards, each step held against the law. */
function ofHistories(name: string, ...tell: (() => JobHistory)[]): LawTest {
  return {
    name: `Status: ${name}`,
    async run(kit) {
      const orders = tell.flatMap((each) => {
        const { snapshots } = each();
        return [snapshots, snapshots.toReversed()];
      });
      await holdStepByStep('Status', kit, orders, orders.length);
    },
  };
}

export const status: readonly LawTest[] = [
  ofHistories(
    'a finished job that is retried, or whose id is used again, is finished no more',
    () => new JobHistory().start().complete().retryByHand(10).start(),
    () => new JobHistory().start().fail().retryByHand(10).look().start().progress(),
    () => new JobHistory().start().fail().retryByHand(8_000, true).start(),
    () => new JobHistory().start().complete().addAgain(2).start(),
    () => new JobHistory().start().complete().remove().addAgain(2).look(),
  ),
  ofHistories(
    'failed only when it will not be tried again',
    () => new JobHistory().start().fail(1, 0),
    () => new JobHistory().start().fail(1, 60_000),
    () => new JobHistory().start().fail(1, 0).start().fail(),
    () => new JobHistory().start().fail(),
  ),
  ofHistories(
    'a job that fails after its cancellation was asked for is cancelled, one that completes is not',
    () => new JobHistory().start().cancel(1, 'u1').fail(),
    () => new JobHistory().start().cancel(1, 'u1').complete(),
    () => new JobHistory().start().cancel(1, 'u1').fail(1, 0).start().fail(),
    () => new JobHistory().look().cancel(1, 'u1'),
  ),
  ofHistories(
    'removed, unless somebody saw how it ended',
    () => new JobHistory().look().remove().look(),
    () => new JobHistory().start().remove().look(),
    () => new JobHistory().start().complete().remove().look(1, 0, 1),
  ),
];

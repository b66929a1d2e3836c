import { mergeUpdates } from '../../../src/merge.ts';
import type { JobAttempt, JobKey } from '../../../src/types.ts';
import { storeWith, type BrokenStore } from './base.ts';

/* The attempts beside a row. */

/** A store that tells of attempts in another way. */
function attemptsAs(change: (attempts: JobAttempt[], key: JobKey) => JobAttempt[]) {
  return () => {
    const store = storeWith();
    return {
      ...store,
      attempts: async (key: JobKey) => change(await store.attempts(key), key),
    };
  };
}

export const ATTEMPTS: readonly BrokenStore[] = [
  {
    mistake: 'earlier attempts are lost when the row moves on',
    law: 'Attempts',
    shows: 'attempts: expected',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge: (before, update) => ({ ...mergeUpdates(before, update), earlierAttempts: [] }),
      }),
  },
  {
    mistake: 'attempts come newest first',
    law: 'Attempts',
    shows: 'attempts[0]',
    shortest: 2,
    createStore: attemptsAs((attempts) => attempts.toReversed()),
  },
  {
    mistake: 'attempts are told apart by their numbers alone',
    law: 'Attempts',
    shows: 'attempts: expected',
    shortest: 2,
    createStore: attemptsAs((attempts) => [
      ...new Map(attempts.map((each) => [each.attempt, each])).values(),
    ]),
  },
  {
    mistake: 'attempts of a former job of the id are kept',
    law: 'Attempts',
    shows: 'attempts: expected',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const createdAt = [before.createdAt, update.createdAt].toSorted((a, b) => +b - +a)[0]!;
          const merged = mergeUpdates({ ...before, createdAt }, { ...update, createdAt });
          return { ...mergeUpdates(before, update), earlierAttempts: merged.earlierAttempts };
        },
      }),
  },
  {
    mistake: 'attempts are kept without end',
    law: 'Attempts',
    by: 'of very many the last 50',
    shows: 'attempts: expected',
    createStore: () =>
      storeWith({
        merge(before, update) {
          const told = mergeUpdates(before, update);
          if (+before.createdAt !== +update.createdAt) return told;
          const every = [...before.earlierAttempts, ...told.earlierAttempts].map(
            (record) => [`${record.attempt}:${record.processedOn}`, record] as const,
          );
          return { ...told, earlierAttempts: [...new Map(every).values()] };
        },
      }),
  },
  {
    mistake: 'attempts of a job that is not there are undefined',
    law: 'Attempts',
    by: 'of a job that is not there, none',
    shows: 'attempts gave undefined',
    createStore: attemptsAs((attempts) =>
      attempts.length === 0 ? (undefined as never) : attempts,
    ),
  },
  {
    mistake: 'the attempt under way is not among the attempts',
    law: 'Attempts',
    shows: 'attempts: expected',
    shortest: 1,
    createStore: attemptsAs((attempts) => attempts.filter(({ endedAt }) => endedAt !== null)),
  },
];

import { mergeAttempt } from '../../../src/attempts.ts';
import { mergeUpdates, SAME_RUN_MS, toStatus } from '../../../src/merge.ts';
import { isFinished, isSameAttempt, phaseOf } from '../../../src/phase.ts';
import type { StatusStore } from '../../../src/store.ts';
import type { JobFacts } from '../../../src/types.ts';
import { storeWith, type BrokenStore } from './base.ts';

/* Which of two snapshots is newer. */

/** Above zero where the first of two snapshots is newer, as far as this reading says. */
type Rule = (a: JobFacts, b: JobFacts) => number;

const createdAt: Rule = (a, b) => a.createdAt.getTime() - b.createdAt.getTime();
const attempt: Rule = (a, b) => a.attempt - b.attempt;
const phase: Rule = (a, b) => phaseOf(a) - phaseOf(b);
const sequence: Rule = (a, b) => a.sequence - b.sequence;
const updatedAt: Rule = (a, b) => a.updatedAt.getTime() - b.updatedAt.getTime();

/** Rule 1 of the law: places in time that lie more than 5 s apart. */
const place: Rule = (a, b) => {
  const areStarted = a.processedOn !== null && b.processedOn !== null;
  const placeOf = ({ processedOn, queuedOn, finishedOn, updatedAt }: JobFacts) =>
    areStarted
      ? processedOn
      : (finishedOn ?? (processedOn === null ? queuedOn : updatedAt.getTime()));
  const [placeOfA, placeOfB] = [placeOf(a), placeOf(b)];
  const apart = placeOfA === null || placeOfB === null ? 0 : placeOfA - placeOfB;
  return Math.abs(apart) > SAME_RUN_MS ? apart : 0;
};

/** A store with another order of snapshots, by the first rule that tells two apart. All else is right. */
function orderedBy(...rules: readonly Rule[]): () => StatusStore {
  return () =>
    storeWith({
      merge(before, update) {
        const apart = rules.map((rule) => rule(update, before)).find((each) => each !== 0) ?? 0;
        const [older, newer] = apart > 0 ? [before, update] : [update, before];
        if (createdAt(older, newer) !== 0) return newer;
        const { firstProcessedOn, children, earlierAttempts } = mergeUpdates(before, update);
        const ofBoth = isSameAttempt(older, newer) && mergeAttempt(older, newer);
        return { ...newer, ...ofBoth, firstProcessedOn, children, earlierAttempts };
      },
    });
}

export const ORDER: readonly BrokenStore[] = [
  {
    mistake: 'the last write wins',
    law: 'Order',
    shows: "status: expected 'completed', got 'active'",
    shortest: 2,
    createStore: () => storeWith({ merge: (_before, update) => update }),
  },
  {
    mistake: 'a finished row never changes again',
    law: 'Status',
    shows: /status: expected 'active', got '(completed|failed)'/,
    shortest: 2,
    createStore: () =>
      storeWith({
        merge: (before, update) =>
          isFinished(before.status) ? before : mergeUpdates(before, update),
      }),
  },
  {
    mistake: '`updatedAt` decides which is newer',
    law: 'Order',
    by: 'by the attempt, and not by when a snapshot was taken',
    shows: 'updatedAt',
    shortest: 2,
    createStore: orderedBy(place, createdAt, updatedAt),
  },
  {
    mistake: 'the sequence alone decides which is newer',
    law: 'Order',
    shows: 'sequence: expected',
    shortest: 2,
    createStore: orderedBy(sequence),
  },
  {
    mistake: 'attempts are compared before `createdAt`',
    law: 'Order',
    shows: 'createdAt: expected',
    shortest: 2,
    createStore: orderedBy(place, attempt, createdAt, phase, sequence),
  },
  {
    mistake: 'a retry with reset counters is taken for an older attempt',
    law: 'Order',
    by: 'retried by hand, counters reset',
    shows: 'attempt: expected 1, got 2',
    shortest: 2,
    createStore: orderedBy(createdAt, attempt, phase, sequence),
  },
  {
    mistake: 'of one attempt the sequence decides, and not the phase',
    law: 'Order',
    by: 'gone before its worker told of the end',
    shows: "status: expected 'completed', got 'removed'",
    shortest: 2,
    createStore: orderedBy(place, createdAt, attempt, sequence),
  },
  {
    mistake: 'the end alone comes after a start, and what is queued again does not',
    law: 'Order',
    shows: "status: expected 'waiting', got 'active'",
    shortest: 2,
    createStore: orderedBy(
      place,
      createdAt,
      attempt,
      (a, b) => Number(isFinished(a.status)) - Number(isFinished(b.status)),
      sequence,
    ),
  },
  {
    mistake: 'attempts are compared as text, so that 10 comes before 9',
    law: 'Order',
    shows: 'attempt: expected 10, got 9',
    shortest: 2,
    createStore: orderedBy(
      place,
      createdAt,
      (a, b) => (`${a.attempt}` < `${b.attempt}` ? -1 : a.attempt === b.attempt ? 0 : 1),
      phase,
      sequence,
    ),
  },
  {
    mistake: 'starts as they were corrected are fed back into the order',
    law: 'Order',
    shows: /processedOn|attempt/,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const processedOn = toStatus(before).attemptStartedAt?.getTime() ?? null;
          return mergeUpdates({ ...before, processedOn }, update);
        },
      }),
  },
];

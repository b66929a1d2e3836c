import { isSameAttempt, phaseOf } from './phase.ts';
import type {
  AttemptOutcome,
  AttemptRecord,
  Cancellation,
  JobAttempt,
  JobFacts,
  StatusUpdate,
} from './types.ts';

/*
 * Attempts, kept beside the row by the law of `merge.ts`: of one attempt the newest snapshot's facts stand,
 * and of older ones what `mergeAttempt` keeps. The row itself is the record of its own attempt, so a job
 * that needs one has none beside it. A snapshot without a raw start is of no attempt.
 */

/** The earlier of two times, where `null` is none. */
export function earlier(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

/** How many attempts of a job are kept beside its row: the last by their raw starts. */
export const MAX_EARLIER_ATTEMPTS = 50;

/** What an attempt keeps of itself however many snapshots tell of it. */
type Kept = Pick<JobFacts, 'attemptEndedOn' | 'attemptFailed' | 'worker' | 'cancellation'>;

/** Of two snapshots of one attempt, what stands whichever is newer. */
export function mergeAttempt(older: Kept, newer: Kept): Kept {
  return {
    attemptEndedOn: earlier(older.attemptEndedOn, newer.attemptEndedOn),
    attemptFailed: older.attemptFailed || newer.attemptFailed,
    worker: newer.worker ?? older.worker,
    cancellation: earlierRequest(older.cancellation, newer.cancellation),
  };
}

/** All attempts that two snapshots of one job know of, but the newer one's own, which it tells itself. */
export function mergeEarlierAttempts(
  older: StatusUpdate,
  newer: StatusUpdate,
): readonly AttemptRecord[] {
  const others = [...older.earlierAttempts, ...newer.earlierAttempts];
  const own = isSameAttempt(older, newer) ? null : recordOf(older);
  if (own !== null) others.push(own);
  if (others.length === 0) return others;
  const records = new Map<string, AttemptRecord>();
  for (const record of others) {
    const key = `${record.attempt}:${record.processedOn}`;
    const before = records.get(key);
    records.set(key, before === undefined ? record : mergeRecords(before, record));
  }
  return [...records.values()].toSorted(byStart).slice(-MAX_EARLIER_ATTEMPTS);
}

function byStart(a: AttemptRecord, b: AttemptRecord): number {
  return a.processedOn - b.processedOn || a.attempt - b.attempt;
}

function mergeRecords(a: AttemptRecord, b: AttemptRecord): AttemptRecord {
  const isNewer = (phaseOf(b) - phaseOf(a) || b.sequence - a.sequence) > 0;
  const [older, newer] = isNewer ? [a, b] : [b, a];
  return { ...newer, ...mergeAttempt(older, newer) };
}

/** The attempt that a snapshot is of, if it is of one. */
export function recordOf(facts: JobFacts): AttemptRecord | null {
  const { attempt, status, removedFrom, cancellation, error, worker, processedOn } = facts;
  if (processedOn === null) return null;
  const { attemptFailed, sequence } = facts;
  // The job's end is its attempt's too: of rows that older packages wrote nothing else is known.
  const attemptEndedOn = facts.attemptEndedOn ?? facts.finishedOn;
  const standing = { attempt, status, removedFrom, cancellation, sequence };
  return { ...standing, error, worker, processedOn, attemptEndedOn, attemptFailed };
}

/** A job's attempts as they are shown: in the order in which they started, its row's own the last. */
export function toAttempts(row: JobFacts, earlierAttempts: readonly AttemptRecord[]): JobAttempt[] {
  const own = recordOf(row);
  const others = earlierAttempts.filter((record) => !isSameAttempt(record, row)).toSorted(byStart);
  const show = (record: AttemptRecord, outcome: AttemptOutcome): JobAttempt => {
    const startedAt = Math.max(row.createdAt.getTime() + 1, record.processedOn);
    const { attempt, error, worker, attemptEndedOn } = record;
    return {
      attempt,
      outcome,
      startedAt: new Date(startedAt),
      endedAt: attemptEndedOn === null ? null : new Date(Math.max(startedAt + 1, attemptEndedOn)),
      error: outcome === 'failed' || record.attemptFailed ? error : null,
      worker,
    };
  };
  return [
    ...others.map((record) => show(record, outcomeOf(record, 'lost'))),
    ...(own === null ? [] : [show(own, outcomeOf(own, 'active'))]),
  ];
}

/** @param unended what an attempt is of which no end was seen */
function outcomeOf(record: AttemptRecord, unended: 'active' | 'lost'): AttemptOutcome {
  const { status, cancellation, attemptFailed } = record;
  switch (phaseOf(record)) {
    case 0:
      return unended;
    case 1:
      return cancellation === null ? 'lost' : 'cancelled';
    case 2:
      return status === 'completed' ? 'completed' : cancellation ? 'cancelled' : 'failed';
    default:
      return attemptFailed ? 'failed' : 'requeued';
  }
}

/** The first of two requests; of one millisecond, by who asked and why, so that any order gives the same. */
function earlierRequest(a: Cancellation | null, b: Cancellation | null): Cancellation | null {
  if (a === null || b === null) return a ?? b;
  const order =
    a.requestedOn - b.requestedOn ||
    compareText(a.by ?? '', b.by ?? '') ||
    compareText(a.reason ?? '', b.reason ?? '');
  return order < 0 ? a : b;
}

/** By code points, as databases compare bytes of UTF-8; `<` would compare halves of surrogate pairs. */
export function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

import type { Job, Queue } from 'bullmq';
import { cancelJob, type JobState, type StatusStore } from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Expected {
  readonly ends: readonly JobState[];
  /** How many there were by then. */
  readonly attempts: readonly number[];
}

/** What jobs do, by their names, and what their rows must say once all is over. */
export const KINDS = {
  complete: { ends: ['completed'], attempts: [1] },
  progress: { ends: ['completed'], attempts: [1] },
  delay: { ends: ['completed'], attempts: [1] },
  retry: { ends: ['completed'], attempts: [2] },
  fail: { ends: ['failed'], attempts: [2] },
  /** Runs until it is cancelled, or to its end, where a fault kept the request from it for too long. */
  cancelRunning: { ends: ['cancelled', 'completed'], attempts: [0, 1] },
  cancelWaiting: { ends: ['cancelled'], attempts: [0] },
  remove: { ends: ['removed'], attempts: [0] },
} as const satisfies Record<string, Expected>;

type Kind = keyof typeof KINDS;

/** Of those that need nobody else, as they come in turn. */
const MIX: readonly Kind[] = [
  ...Array.from({ length: 12 }, () => 'complete' as const),
  ...(['progress', 'progress', 'progress', 'retry', 'retry', 'delay', 'delay', 'fail'] as const),
];

const TURN_MS = 50;
const HOUR_MS = 3_600_000;

/** How long what must happen may take: a fault, a backoff and a look after it. */
const PATIENCE_MS = 60_000;

/** What every job of the soak does; it is told by its name. */
export async function processJob(job: Job, _token?: string, signal?: AbortSignal): Promise<string> {
  if (job.name === 'cancelRunning') await sleep(5_000, undefined, { signal });
  await sleep(2);
  if (job.name === 'progress')
    for (const percent of [30, 60, 90]) await job.updateProgress(percent);
  if (job.name === 'fail' || (job.name === 'retry' && job.attemptsMade === 0))
    throw new Error('asked to fail');
  return job.name;
}

/** A queue that jobs are added to. */
export interface Target {
  readonly queue: Queue;
  /** Where `cancelJob` leaves its requests: the way there breaks, as the workers' does. */
  readonly store: () => StatusStore;
  /** Straight to the same rows, past all faults. */
  readonly rows: Required<Omit<StatusStore, 'close'>>;
  /**
   * When the last reconciliation but one began that went well, in ms since 1970; 0 before. A job whose row had
   * changed before that was over by the last.
   */
  readonly healedBefore: () => number;
  /** Whether the queue is tracked: only then do jobs have rows that never run. */
  readonly isQueueTracked: boolean;
  /** How many jobs were added: each must have a row. */
  added: number;
}

/** Adds jobs of every kind for so long, so many a second to each queue, and resolves when all are over. */
export async function runLoad(
  targets: readonly Target[],
  perSecond: number,
  ms: number,
): Promise<void> {
  const start = performance.now();
  const asides: Promise<unknown>[] = [];
  for (let turns = 0; performance.now() - start < ms; turns++) {
    await Promise.all(targets.map((target) => addMix(target, (perSecond * TURN_MS) / 1_000)));
    if (turns % (1_000 / TURN_MS) === 0)
      asides.push(...targets.flatMap((target) => addAsides(target)));
    await sleep(TURN_MS);
  }
  await Promise.all(asides);
  await Promise.all(targets.map(({ queue }) => idle(queue)));
}

async function addMix(target: Target, count: number): Promise<void> {
  const jobs = Array.from({ length: Math.round(count) }, (_, at) => {
    const name = MIX[(target.added + at) % MIX.length] ?? 'complete';
    return { name, data: { payload: 'x'.repeat(200) }, opts: optionsOf(name) };
  });
  await target.queue.addBulk(jobs);
  target.added += jobs.length;
}

function optionsOf(kind: Kind) {
  return {
    removeOnComplete: true,
    // Some of them stay for a while, as people have it.
    removeOnFail: 100,
    attempts: KINDS[kind].attempts[0],
    backoff: { type: 'fixed', delay: 300 },
    ...(kind === 'delay' && { delay: 800 }),
  };
}

/** What somebody else ends. */
function addAsides(target: Target): Promise<unknown>[] {
  const { queue, isQueueTracked } = target;
  const options = { removeOnComplete: true, removeOnFail: true };
  const add = async (kind: Kind, delay: number) => {
    target.added += 1;
    const { id = '' } = await queue.add(kind, {}, { ...options, delay });
    await sleep(500);
    return id;
  };
  return [
    add('cancelRunning', 0).then((id) => cancel(target, id)),
    add('cancelWaiting', HOUR_MS).then((id) => cancel(target, id)),
    ...(isQueueTracked ? [add('remove', HOUR_MS).then((id) => remove(target, id))] : []),
  ];
}

/** As people do where the store is away: again, until it says what became of the job. */
async function cancel({ queue, store }: Target, id: string): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    try {
      await cancelJob(queue, store(), id, { by: 'soak', reason: 'as planned' });
      return;
    } catch {
      await sleep(500);
    }
  }
}

/** Once it has a row: of a job that comes and goes while the store is away nobody can tell. */
async function remove({ queue, rows }: Target, jobId: string): Promise<void> {
  const hasRow = async () => (await rows.get({ queue: queue.name, jobId })) !== undefined;
  // Where it never gets one, that shows in the end: a row is missing.
  await until(hasRow);
  await queue.remove(jobId);
}

/** Resolves when a queue has nothing to do any more. */
async function idle(queue: Queue): Promise<void> {
  const left = () => queue.getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized');
  if (!(await until(async () => (await left()) === 0)))
    throw new Error(`${await left()} jobs of ${queue.name} don't end`);
}

/** Resolves when something holds, and whether it does: it waits for long, but not for ever. */
async function until(holds: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > end) return false;
    await sleep(100);
  }
  return true;
}

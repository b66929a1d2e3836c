import { jobKey, type TrackableJob } from '../bullmq.ts';
import { toStatus } from '../merge.ts';
import { isFinished } from '../phase.ts';
import {
  snapshotOfEnd,
  snapshotOfGone,
  snapshotOfQueued,
  type QueuedJob,
  type SeenEnd,
} from '../queue-snapshot.ts';
import { snapshotOf, type JobEvent } from '../snapshot.ts';
import type { JobStatus, StatusUpdate } from '../types.ts';
import { foldHistory } from './law.ts';
import { captureOf, failure, USUAL, type Payload } from './payload.ts';

/*
 * Histories of one job, told as BullMQ would tell them: a model of the queue moves the job, and what
 * the workers would emit goes through the real `snapshotOf`, what others read off the queue through those of
 * `queue-snapshot.ts`. Hosts' clocks are off by their skew.
 */

export const START = Date.UTC(2026, 0, 1);

type MutableJob = { -readonly [field in keyof TrackableJob]: TrackableJob[field] };

interface RunningAttempt {
  readonly job: MutableJob;
  /** The skew of the host it runs on. */
  readonly host: number;
  latest: StatusUpdate;
}

/** A job in a model queue. Each method is one transition; `ms` of true time pass before it. */
export class JobHistory {
  readonly snapshots: StatusUpdate[] = [];
  #now = START;
  #sequence = 0;
  readonly #key: { queue: string; id: string };
  #payload: Payload;
  #job: MutableJob;
  /** Where the queue has it; `undefined` once it is out of it. */
  #state: QueuedJob['state'] | undefined = 'waiting';
  #delayedUntil: number | null = null;
  #children: readonly string[] = [];
  #end: SeenEnd | undefined;
  /** The worker's own `Job` object of the attempt under way, and its last snapshot. */
  #running: RunningAttempt | undefined;

  constructor(key = { queue: 'q', id: '1' }, payload = USUAL) {
    this.#key = key;
    this.#payload = payload;
    this.#job = this.#newJob();
  }

  /** Only those of the snapshots, as if the others were never taken. */
  only(isTaken: (snapshot: StatusUpdate) => boolean): this {
    this.snapshots.splice(0, this.snapshots.length, ...this.snapshots.filter(isTaken));
    return this;
  }

  /** Where the queue has it now; `undefined` if nowhere. */
  get state(): QueuedJob['state'] | undefined {
    return this.#state;
  }

  start(ms = 1, skew = 0): this {
    this.#now += ms;
    this.#job = {
      ...this.#job,
      attemptsStarted: this.#job.attemptsStarted + 1,
      processedOn: this.#now + skew,
      delay: 0,
      // Workers whose clocks are ahead have a name, which the queue keeps.
      ...(skew > 0 && { processedBy: `host${skew}` }),
    };
    this.#move('active');
    const job = { ...this.#job };
    this.#running = { job, host: skew, latest: this.#emit({ type: 'active' }, job, skew) };
    return this;
  }

  progress(ms = 1, progress: unknown = 50): this {
    this.#now += ms;
    const running = this.#runningNow();
    running.job.progress = progress;
    this.#job.progress = progress;
    running.latest = this.#emit(
      { type: 'progress', value: progress },
      running.job,
      running.host,
      running.latest,
    );
    return this;
  }

  complete(ms = 1, result: unknown = { ok: true }): this {
    this.#now += ms;
    const running = this.#runningNow();
    const { job, host } = running;
    this.#job.finishedOn = job.finishedOn = this.#now + host;
    this.#job.attemptsMade = job.attemptsMade = job.attemptsMade + 1;
    this.#move('completed', { status: 'completed', value: result, on: this.#now });
    running.latest = this.#emit({ type: 'completed', value: result }, job, host);
    return this;
  }

  /** An attempt fails: for good, or to be tried again after `retryIn` ms (0: at once). */
  fail(ms = 1, retryIn?: number, thrown?: unknown): this {
    this.#now += ms;
    const running = this.#runningNow();
    const { job, host } = running;
    if (retryIn === undefined) job.finishedOn = this.#now + host;
    else job.delay = retryIn;
    job.failedReason = `attempt ${job.attemptsStarted} failed`;
    job.attemptsMade += 1;
    this.#job = { ...this.#job, ...job };
    if (retryIn === undefined)
      this.#move('failed', { status: 'failed', value: job.failedReason, on: this.#now });
    else this.#putBack(retryIn, host);
    running.latest = this.#emit(
      { type: 'failed', value: thrown ?? failure(job.failedReason) },
      job,
      host,
    );
    return this;
  }

  /** A silent exit: a stall, a DelayedError, a lost lock. The next start counts up all the same. */
  vanish(ms = 1, retryIn = 0): this {
    this.#now += ms;
    this.#putBack(retryIn, 0);
    return this;
  }

  /** It is taken out of its queue, wherever it stands there. */
  remove(ms = 1): this {
    this.#now += ms;
    this.#move(undefined);
    return this;
  }

  /** The children that the queue has of it are these; until it starts, it waits for them. */
  adopt(ms: number, children: readonly string[]): this {
    this.#now += ms;
    this.#children = children;
    if (this.#state === 'waiting') this.#move('waiting-children');
    return this;
  }

  /** `job.retry()`, by hand, of a finished job. */
  retryByHand(ms: number, reset = false): this {
    this.#now += ms;
    const { finishedOn: _, processedOn: __, failedReason: ___, ...rest } = this.#job;
    this.#job = { ...rest, ...(reset && { attemptsStarted: 0, attemptsMade: 0 }) };
    this.#move('waiting');
    return this;
  }

  /** The id is removed from the queue and added again, by a producer who may give it something else. */
  addAgain(ms = 1, payload = this.#payload): this {
    this.#now += ms;
    this.#payload = payload;
    this.#job = this.#newJob();
    this.#children = [];
    this.#move('waiting');
    return this;
  }

  /**
   * Somebody looks what has become of the job: what its queue shows; or, where that has it no longer, that it
   * is gone, given a row that has not ended.
   *
   * @param missed how many of the last snapshots were not in that row yet
   */
  look(ms = 1, skew = 0, missed = 0): this {
    this.#now += ms;
    if (this.#state !== undefined) return this.#tell(this.#seen(skew));
    const row = this.#row(missed);
    if (row === undefined || isFinished(row.status)) return this;
    return this.#tell(snapshotOfGone(row, this.#at(skew)));
  }

  /** Somebody hears how a job ended that is gone since, and has a row of it that has not, or was `removed`. */
  hear(ms = 1, skew = 0, missed = 0): this {
    this.#now += ms;
    const row = this.#row(missed);
    if (this.#end === undefined || row === undefined || this.#state !== undefined) return this;
    if (isFinished(row.status) && row.removedFrom === null) return this;
    return this.#tell(
      snapshotOfEnd(row, this.#end, this.#job, this.#at(skew), captureOf(this.#payload)),
    );
  }

  /** `cancelJob`: a job that waits is taken out of the queue, one that runs is asked to end. */
  cancel(ms = 1, by: string | null = null, skew = 0): this {
    this.#now += ms;
    if (this.#state === undefined || isFinished(this.#state)) return this;
    const cancellation = { requestedOn: this.#now + skew, by, reason: null };
    const request = { ...this.#seen(skew), cancellation };
    this.#tell(request);
    if (this.#state === 'active') return this;
    this.#move(undefined);
    return this.#tell(snapshotOfGone(toStatus(request), this.#at(skew)));
  }

  #seen(skew: number): StatusUpdate {
    const { value } = this.#end ?? {};
    const [state, job] = [this.#state ?? 'waiting', this.#job];
    const seen = {
      state,
      job,
      result: value,
      children: this.#children.map((child) => jobKey(child, 'q')),
    };
    const delayedUntil = state === 'delayed' ? this.#delayedUntil : null;
    return snapshotOfQueued({ ...seen, delayedUntil }, this.#at(skew), captureOf(this.#payload));
  }

  /** The row of this very job, as of some snapshots ago. */
  #row(missed: number): JobStatus | undefined {
    const row = foldHistory(this.snapshots.slice(0, this.snapshots.length - missed));
    return row?.createdAt.getTime() === this.#job.timestamp ? row : undefined;
  }

  #tell(snapshot: StatusUpdate): this {
    this.snapshots.push(snapshot);
    return this;
  }

  #move(state: QueuedJob['state'] | undefined, end = state === undefined ? this.#end : undefined) {
    [this.#state, this.#end] = [state, end];
  }

  #putBack(retryIn: number, host: number): void {
    this.#delayedUntil = this.#now + host + retryIn;
    this.#move(retryIn > 0 ? 'delayed' : 'waiting');
  }

  #newJob(): MutableJob {
    return {
      id: this.#key.id,
      name: this.#payload.name,
      data: this.#payload.data,
      progress: 0,
      stacktrace: null,
      delay: 0,
      priority: 0,
      timestamp: this.#now,
      attemptsStarted: 0,
      attemptsMade: 0,
      opts: { attempts: 3 },
      ...this.#payload.lineage,
    };
  }

  #runningNow(): RunningAttempt {
    if (this.#running === undefined) throw new Error('start() the job first');
    return this.#running;
  }

  #emit(event: JobEvent, job: TrackableJob, skew: number, previous?: StatusUpdate): StatusUpdate {
    const at = { ...this.#at(skew), worker: `host${skew}` };
    const snapshot = snapshotOf(event, job, at, captureOf(this.#payload), previous);
    if (snapshot === undefined) throw new Error(`no snapshot of ${event.type}`);
    this.snapshots.push(snapshot);
    return snapshot;
  }

  #at(skew: number) {
    const now = this.#now + skew;
    this.#sequence = Math.max(this.#sequence + 1, now * 1_000);
    return { queue: this.#key.queue, worker: null, now, sequence: this.#sequence };
  }
}

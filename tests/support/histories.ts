import type { TrackableJob } from '../../src/bullmq.ts';
import { snapshotOf, type Capture, type JobEvent } from '../../src/snapshot.ts';
import type { StatusUpdate } from '../../src/types.ts';

/*
 * Histories of one job, told as BullMQ would tell them: a model of the queue moves the job, and what
 * the workers would emit goes through the real `snapshotOf`. Hosts' clocks are off by their skew.
 */

const CAPTURE_ALL: Capture = {
  fields: { data: true, progress: true, result: true, error: true, metadata: true },
  maxValueLength: 10_000,
  redact: (value) => value,
  metadata: () => null,
  hookFailed: (hook, thrown) => {
    throw new Error(`${hook} failed`, { cause: thrown });
  },
};

export const START = Date.UTC(2026, 0, 1);

/** What the job's producer gave it. */
export interface Payload {
  readonly name: string;
  readonly data: unknown;
  readonly metadata: unknown;
}

const USUAL: Payload = { name: 'export', data: { n: 1 }, metadata: { tenant: 't1' } };

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
  /** The worker's own `Job` object of the attempt under way, and its last snapshot. */
  #running: RunningAttempt | undefined;

  constructor(key = { queue: 'q', id: '1' }, payload = USUAL) {
    this.#key = key;
    this.#payload = payload;
    this.#job = this.#newJob();
  }

  start(ms = 1, skew = 0): this {
    this.#now += ms;
    this.#job = {
      ...this.#job,
      attemptsStarted: this.#job.attemptsStarted + 1,
      processedOn: this.#now + skew,
      delay: 0,
    };
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
    running.latest = this.#emit(
      { type: 'failed', value: thrown ?? new RangeError(job.failedReason) },
      job,
      host,
    );
    return this;
  }

  /** A silent exit: a stall, a DelayedError, a lost lock. The next start counts up all the same. */
  vanish(ms = 1): this {
    this.#now += ms;
    return this;
  }

  /** `job.retry()`, by hand, of a finished job. */
  retryByHand(ms: number, reset = false): this {
    this.#now += ms;
    const { finishedOn: _, processedOn: __, failedReason: ___, ...rest } = this.#job;
    this.#job = { ...rest, ...(reset && { attemptsStarted: 0, attemptsMade: 0 }) };
    return this;
  }

  /** The id is removed from the queue and added again, by a producer who may give it something else. */
  addAgain(ms = 1, payload = this.#payload): this {
    this.#now += ms;
    this.#payload = payload;
    this.#job = this.#newJob();
    return this;
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
    };
  }

  #runningNow(): RunningAttempt {
    if (this.#running === undefined) throw new Error('start() the job first');
    return this.#running;
  }

  #emit(event: JobEvent, job: TrackableJob, skew: number, previous?: StatusUpdate): StatusUpdate {
    const now = this.#now + skew;
    this.#sequence = Math.max(this.#sequence + 1, now * 1_000);
    const at = { queue: this.#key.queue, worker: `host${skew}`, now, sequence: this.#sequence };
    const capture = { ...CAPTURE_ALL, metadata: () => this.#payload.metadata };
    const snapshot = snapshotOf(event, job, at, capture, previous);
    if (snapshot === undefined) throw new Error(`no snapshot of ${event.type}`);
    this.snapshots.push(snapshot);
    return snapshot;
  }
}

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

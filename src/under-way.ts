/** A job that runs, and how to tell what was seen of it last, unless that is told. */
export interface Held {
  tell: (() => void) | undefined;
  /** When the first of what is not told was seen, by the clock that nobody sets, in ms. */
  since: number;
}

/** Jobs that run, of which something was seen that is not told yet. */
export interface UnderWay {
  readonly size: () => number;
  /** For how long the first of them has been held back, in ms. */
  readonly heldMs: () => number;
  /** Holds back what was seen of a job last, which says all that was held back of it before. */
  readonly hold: (job: Held, tell: () => void) => void;
  /** Tells all that is held back. */
  readonly tellAll: () => void;
}

/** What is told of this job now says all that is held back of it. */
export function drop(job: Held): void {
  job.tell = undefined;
}

/**
 * Holds back the starts and the progress of jobs: one that ends within so many ms says all of it in one
 * snapshot, its end's. As soon as one has been held back for as long, all are told, in one write.
 *
 * A list that is swept now and then, and no map: where thousands come and go each second, all that ever stood in
 * a long-lived map outlives the first collections of the garbage.
 */
export function createUnderWay(ms: number): UnderWay {
  let held: Held[] = [];
  let timer: NodeJS.Timeout | undefined;

  function heldMs(): number {
    const first = held.find(isHeld);
    return first === undefined ? 0 : performance.now() - first.since;
  }

  function tellAll(): void {
    const all = held;
    held = [];
    for (const job of all) {
      const { tell } = job;
      drop(job);
      tell?.();
    }
  }

  function sweep(): void {
    timer = undefined;
    held = held.filter(isHeld);
    const leftMs = ms - heldMs();
    if (leftMs < 1) tellAll();
    else if (held.length > 0) timer = setTimeout(sweep, leftMs);
  }

  return {
    size: () => held.filter(isHeld).length,
    heldMs,
    hold(job, tell) {
      if (!isHeld(job)) {
        held.push(job);
        job.since = performance.now();
      }
      job.tell = tell;
      timer ??= setTimeout(sweep, ms);
    },
    tellAll,
  };
}

function isHeld({ tell }: Held): boolean {
  return tell !== undefined;
}

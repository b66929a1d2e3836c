import type { TrackableJob } from './bullmq.ts';
import type { WaitingUpdate } from './pending.ts';
import type { StatusUpdate } from './types.ts';

/** What was seen of a `Job` object that is still in use. */
export interface Seen {
  readonly job: TrackableJob;
  /** Its last snapshot, to which late progress is added. */
  latest: StatusUpdate;
  /** Its place among those of which the last is not told yet. */
  held: Held | undefined;
}

interface Held {
  /** Empty once it is told, or says no more than what is told. */
  seen: Seen | undefined;
  /** When the first of what is held back was seen, by the clock that nobody sets, in ms. */
  readonly since: number;
}

/** Jobs that run, of which something was seen that is not told yet. */
export interface UnderWay {
  /** Holds back a job's last snapshot, which says all that was held back of it before. */
  readonly hold: (seen: Seen) => void;
  /**
   * What is told of this job now says all that is held back of it.
   *
   * @returns when the first of that was seen; `undefined` where nothing is held back
   */
  readonly drop: (seen: Seen) => number | undefined;
  /** Tells all that is held back. */
  readonly tellAll: () => void;
  readonly values: () => readonly WaitingUpdate[];
  /** How many snapshots were held back that nobody was told, for a later one says more. */
  readonly coalesced: () => number;
}

/**
 * Holds back the starts and the progress of jobs: one that ends within so many ms says all of it in one
 * snapshot, its end's. As soon as one has been held back for as long, all are told, in one write.
 *
 * A list that is swept now and then, and no map: where thousands come and go each second, all that ever stood in
 * a long-lived map outlives the first collections of the garbage. For the same reason a place that stands in
 * the list for longer than its job runs lets go of it at once, and nothing but the place itself leads there.
 *
 * @param tell must not throw
 */
export function createUnderWay(ms: number, tell: (seen: Seen, since: number) => void): UnderWay {
  /** The oldest first; empty places stand among them until the next sweep. */
  let list: Held[] = [];
  let coalesced = 0;
  let timer: NodeJS.Timeout | undefined;

  function empty(held: Held): Seen | undefined {
    const { seen } = held;
    if (seen !== undefined) seen.held = undefined;
    held.seen = undefined;
    return seen;
  }

  function tellAll(): void {
    clearTimeout(timer);
    timer = undefined;
    // Each stands there until it is told: who hears of an error meanwhile, and asks for a flush, finds the others.
    for (const held of list) {
      const seen = empty(held);
      if (seen !== undefined) tell(seen, held.since);
    }
    list = list.filter(isHeld);
  }

  function sweep(): void {
    timer = undefined;
    list = list.filter(isHeld);
    const [oldest] = list;
    if (oldest === undefined) return;
    const leftMs = ms - (performance.now() - oldest.since);
    if (leftMs < 1) tellAll();
    else timer = setTimeout(sweep, leftMs);
  }

  return {
    hold(seen) {
      if (seen.held !== undefined) {
        coalesced += 1;
        return;
      }
      seen.held = { seen, since: performance.now() };
      list.push(seen.held);
      timer ??= setTimeout(sweep, ms);
    },
    drop({ held }) {
      if (held === undefined) return undefined;
      empty(held);
      coalesced += 1;
      return held.since;
    },
    tellAll,
    values: () =>
      list.flatMap(({ seen, since }) => (seen === undefined ? [] : { update: seen.latest, since })),
    coalesced: () => coalesced,
  };
}

function isHeld({ seen }: Held): boolean {
  return seen !== undefined;
}

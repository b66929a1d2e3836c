/*
 * The place in a queue's events on Postgres.
 *
 * Events have ids off a sequence, and are seen when their transactions commit: out of order. Who asks for what
 * is after the greatest id that he saw loses for good whatever commits late, as BullMQ's own `QueueEvents` does
 * under load. So a place is a `floor`, at or below which no event can appear any more, and the ids above it
 * that were read already.
 *
 * The floor is raised by marks. A mark is taken in the very request that reads some events: the greatest id
 * read until then, and a transaction id of our own, assigned after the request's snapshot was taken. Who got an
 * id below the mark's, off the sequence, did so before that snapshot, and had its transaction id by then, for
 * BullMQ writes the job before it tells of it: so that is below the mark's too. Hence, once every transaction
 * below the mark's has ended, as a later snapshot's `xmin` tells, what they wrote can be seen in it, that
 * request reads it, and the mark's id is the floor. It is transactions that are asked for, not rows' `xmin`,
 * so savepoints, whose own ids no snapshot shows, change nothing. (One event may be told of by a transaction
 * that has written nothing yet: `duplicated`, which says that a job was there already.)
 *
 * A transaction that stays open, anybody's, holds the floor down, but not what is read: only the list of ids
 * grows, as far as BullMQ keeps events. For what it deletes raises the floor too; else each look would pass
 * over all that was deleted since, which stays in the index until that transaction ends.
 */

export interface EventPlace {
  readonly floor: number;
  /** Ids above the floor that were read. */
  readonly read: readonly number[];
  readonly mark: { readonly transaction: string; readonly id: number } | null;
}

/** What one request tells beside the events. */
export interface Sight {
  /** The ids of the events that it read, from the lowest on. */
  readonly ids: readonly number[];
  /** Whether there may be more than it read. */
  readonly hasMore: boolean;
  /** The id of the lowest event above the floor that there is. */
  readonly lowest: number | null;
  /** Whether every transaction from before the place's mark had ended. */
  readonly settled: boolean;
  /** The transaction id of our own, taken where the place has no mark. */
  readonly transaction: string | null;
}

export const BEGINNING: EventPlace = { floor: 0, read: [], mark: null };

export function nextPlace(place: EventPlace, sight: Sight): EventPlace {
  let { floor, mark } = place;
  const all = [...place.read, ...sight.ids];
  if (mark !== null && sight.settled) {
    // What it saw and left for the next request lies above the last that it read.
    floor = sight.hasMore ? Math.min(mark.id, sight.ids.at(-1) ?? floor) : mark.id;
    mark = null;
  }
  floor = Math.max(floor, trimmed(place, sight));
  const read = all.filter((id) => id > floor);
  if (mark === null && sight.transaction !== null && read.length > 0) {
    // Not by spreading: there may be more than a call takes arguments.
    const id = read.reduce((greatest, each) => Math.max(greatest, each), 0);
    mark = { transaction: sight.transaction, id };
  }
  return { floor, read, mark };
}

/** Of what was read and is gone, the greatest id: BullMQ deletes from the lowest on, so nothing below it stays. */
function trimmed({ floor, read }: EventPlace, { lowest }: Sight): number {
  if (lowest === null) return floor;
  return read.reduce((greatest, id) => (id < lowest ? Math.max(greatest, id) : greatest), floor);
}

export function toCursor({ floor, read, mark }: EventPlace): string {
  return JSON.stringify([floor, read, mark?.transaction ?? null, mark?.id ?? null]);
}

export function fromCursor(cursor: string): EventPlace {
  const [floor, read, transaction, id] = JSON.parse(cursor) as [
    number,
    number[],
    string | null,
    number | null,
  ];
  return { floor, read, mark: transaction === null || id === null ? null : { transaction, id } };
}

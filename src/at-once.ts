import { setImmediate } from 'node:timers/promises';

/**
 * Does the same for each item, for so many at once. Where one fails, none is begun any more; it rejects with
 * the first failure once all that were begun have ended, so that nothing goes on behind the caller's back.
 *
 * Not all begin in one turn: an act that blocks is then done, or has failed, before the next begins, and a
 * database that is locked blocks once and not `count` times.
 */
export async function eachAtOnce<Item>(
  count: number,
  items: Iterable<Item>,
  act: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items[Symbol.iterator]();
  const failures: unknown[] = [];
  let isDone = false;

  async function takeOver(): Promise<void> {
    while (failures.length === 0) {
      const next = left.next();
      isDone = next.done === true;
      if (next.done) return;
      // What throws before it gives a promise fails in the same way.
      try {
        await act(next.value);
      } catch (error) {
        failures.push(error);
      }
    }
  }

  const atWork: Promise<void>[] = [];
  while (atWork.length < count && !isDone && failures.length === 0) {
    atWork.push(takeOver());
    await setImmediate();
  }
  await Promise.all(atWork);
  if (failures.length > 0) throw failures[0];
}

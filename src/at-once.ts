/**
 * Does the same for each item, for so many at once. Where one fails, none is begun any more; it rejects with
 * the first failure once all that were begun have ended, so that nothing goes on behind the caller's back.
 */
export async function eachAtOnce<Item>(
  count: number,
  items: Iterable<Item>,
  act: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items[Symbol.iterator]();
  const failures: unknown[] = [];
  async function takeOver(): Promise<void> {
    for (let next = left.next(); !next.done && failures.length === 0; next = left.next())
      await act(next.value).catch((error: unknown) => failures.push(error));
  }
  await Promise.all(Array.from({ length: count }, takeOver));
  if (failures.length > 0) throw failures[0];
}

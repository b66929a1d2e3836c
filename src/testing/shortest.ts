/** A case that breaks a law, and what came of it. */
export interface Broken<Item> {
  readonly items: readonly Item[];
  readonly wrong: readonly string[];
}

/** How many cases are tried at most: a store in a database far away should not take minutes to say so. */
const MAX_TRIES = 300;

/** How long, in ms: the runner's time limit must not end it before it is said what was found. */
const MAX_MS = 20_000;

/**
 * Takes away of a case what it takes nothing from, until each of the rest is needed: the halves first, then
 * the quarters, at last one by one.
 *
 * @param wrongWith what comes of a case: nothing, where it breaks no law
 * @returns `undefined` where the whole case breaks none when it is tried again
 */
export async function shortest<Item>(
  items: readonly Item[],
  wrongWith: (items: readonly Item[]) => Promise<readonly string[]>,
): Promise<Broken<Item> | undefined> {
  let left = items;
  let wrong = await wrongWith(left);
  if (wrong.length === 0) return undefined;
  let tries = 0;
  const until = performance.now() + MAX_MS;
  for (let size = Math.ceil(left.length / 2); size >= 1;) {
    let isShorter = false;
    for (
      let at = left.length - size;
      at >= 0 && tries < MAX_TRIES && performance.now() < until;
      at -= size
    ) {
      const rest = left.toSpliced(at, size);
      if (rest.length === 0) continue;
      tries++;
      const found = await wrongWith(rest);
      if (found.length === 0) continue;
      [left, wrong, isShorter] = [rest, found, true];
    }
    if (size === 1 && !isShorter) break;
    size = Math.max(1, Math.floor(Math.min(size, left.length) / 2));
  }
  return { items: left, wrong };
}

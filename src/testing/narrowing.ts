import type { StatusStore } from '../store.ts';
import type { StatusUpdate } from '../types.ts';
import { keyed, newQueue } from './kit.ts';
import { shortest } from './shortest.ts';

/* Finding what of a history that went wrong it takes for that, told in one of several ways. */

/** How the snapshots of a history come to a store. */
const WAYS = {
  'each in a write of its own, one after the other': async (store, history) => {
    for (const snapshot of history) await store.write([snapshot]);
  },
  'each in a write of its own, the row read after each': async (store, history) => {
    for (const snapshot of history) {
      await store.write([snapshot]);
      await store.get(snapshot);
    }
  },
  'all in one write': (store, history) => store.write(history),
  'each in a write of its own, all at once': async (store, history) => {
    await Promise.all(history.map((snapshot) => store.write([snapshot])));
  },
} as const satisfies Record<
  string,
  (store: StatusStore, history: readonly StatusUpdate[]) => Promise<void>
>;

export type Way = keyof typeof WAYS;

const ALL_WAYS = Object.keys(WAYS) as Way[];

/** What is wrong of a job, by all that was told of it: nothing, if all is well. */
export type Check = (store: StatusStore, told: readonly StatusUpdate[]) => Promise<string[]>;

/** The shortest of a history that goes wrong by itself: told as it was, else in another way, or backwards. */
export async function shortestAlone(
  store: StatusStore,
  history: readonly StatusUpdate[],
  how: Way,
  check: Check,
) {
  for (const way of [how, ...ALL_WAYS.filter((each) => each !== how)]) {
    for (const order of [history, history.toReversed()]) {
      const found = await shortest(order, (items) => wrongAlone(store, items, way, check));
      if (found !== undefined) return { ...found, way };
    }
  }
  return undefined;
}

/** Jobs are told together anew where there are not too many of them. */
const MAX_TOGETHER = 100;

/** The fewest jobs, told together, of which one goes wrong; under their own ids, in queues of new names. */
export async function shortestTogether(
  store: StatusStore,
  histories: readonly (readonly StatusUpdate[])[],
  way: Way,
  check: Check,
) {
  if (histories.length > MAX_TOGETHER) return undefined;
  let shown: { items: readonly StatusUpdate[]; wrong: readonly string[] } | undefined;
  await shortest(histories, async (some) => {
    // One alone is right, as was tried before.
    if (some.length < 2) return [];
    const fresh = newQueue();
    const jobs = some.map((job) =>
      job.map((each) => ({ ...each, queue: each.queue.replace(DRAWN, fresh) })),
    );
    await WAYS[way](store, jobs.flat());
    for (const job of jobs) {
      const wrong = job.length > 0 ? await check(store, job) : [];
      if (wrong.length === 0) continue;
      shown = { items: jobs.flat(), wrong };
      return wrong;
    }
    return [];
  });
  return shown && { ...shown, way };
}

/** What of a queue's name `newQueue` has drawn. */
const DRAWN = /kit-[\da-f-]{36}/;

/** How often a history is told again that went wrong as writers met: it need not each time. */
const MEETINGS = 5;

async function wrongAlone(
  store: StatusStore,
  history: readonly StatusUpdate[],
  how: Way,
  check: Check,
): Promise<readonly string[]> {
  const tries = how.endsWith('at once') ? MEETINGS : 1;
  for (let n = 0; n < tries; n++) {
    // An id of its own, too: where queues are mixed, what was tried before must not be in the way.
    const told = keyed(history, { queue: newQueue(), jobId: newQueue() });
    await WAYS[how](store, told);
    const wrong = await check(store, told);
    if (wrong.length > 0) return wrong;
  }
  return [];
}

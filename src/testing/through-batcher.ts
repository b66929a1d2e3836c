import { createBatcher } from '../batcher.ts';
import { JobStatusError, messageOf } from '../errors.ts';
import { resolveOptions } from '../options.ts';
import type { StatusStore } from '../store.ts';

/** Quick to try again: nobody waits for a database here. */
const QUICK = { flushIntervalMs: 1, backoff: { minMs: 1, maxMs: 10 } };

const OTHERS = ['get', 'attempts', 'list', 'count', 'delete', 'prune', 'close'] as const;

/**
 * A store that is written to as trackers do it: updates of one job are folded, many jobs go in one write, writes
 * that fail are repeated, in smaller batches. Each `write` has a batcher of its own, as each process has, and
 * resolves once all that it was given is stored. Run the suite on it, too.
 *
 * @param options.maxBatchSize jobs in one write of the store, 1 to 10,000. @default 2,000
 * @param options.flushTimeoutMs how long a `write` tries. @default 30,000
 */
export function throughBatcher(
  store: StatusStore,
  options: { readonly maxBatchSize?: number; readonly flushTimeoutMs?: number } = {},
): StatusStore {
  const { maxBatchSize, flushTimeoutMs = 30_000 } = options;
  const resolved = { ...resolveOptions({ maxBatchSize, flushTimeoutMs }), ...QUICK };
  const methods = OTHERS.flatMap((name) => {
    const method = store[name]?.bind(store);
    return method === undefined ? [] : [[name, method] as const];
  });
  return {
    ...(Object.fromEntries(methods) as unknown as Omit<StatusStore, 'write'>),
    async write(updates) {
      const batcher = createBatcher(untilTired(store), resolved, () => {});
      for (const update of updates) batcher.take(update);
      await batcher.close();
    },
  };
}

/** How often writes fail one after the other before nobody believes any more that it passes. */
const MAX_FAILURES = 20;

/** A store that is not tried for as long as a tracker would: what fails so often is refused. */
function untilTired(store: StatusStore): StatusStore {
  let failures = 0;
  return {
    get: (key) => store.get(key),
    async write(updates, options) {
      try {
        await store.write(updates, options);
        failures = 0;
      } catch (cause) {
        if (++failures < MAX_FAILURES) throw cause;
        throw new JobStatusError('ERR_STORE_REFUSED', messageOf(cause), { cause });
      }
    },
  };
}

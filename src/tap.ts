import type { StatusStore } from './store.ts';

/*
 * Tracking stands in the way of a worker's or a queue's `emit` and `close`. Listeners could do for events, were
 * they not removable by anybody (`removeAllListeners`), skipped where one before them throws, and
 * never awaited. A method stands in every call's way.
 */

/** One who is told of a worker's or queue's events and of its end. No method may throw or reject. */
export interface Tapped {
  readonly onEvent: (event: string, args: readonly unknown[]) => void;
  /** The close begins; what it returns is waited for first. */
  readonly onClosing: () => Promise<void> | undefined;
  /** `close()` waits for it, once the object's own close is over. */
  readonly onClosed: () => Promise<void>;
}

interface Tappable {
  emit: (event: string, ...args: unknown[]) => boolean;
  close: (...args: unknown[]) => Promise<void>;
}

interface Tap {
  /** Who listens, by the store that it writes to. */
  readonly tapped: Map<StatusStore, Tapped>;
  readonly restore: () => boolean;
}

/** One tap for each worker, however many listen. */
const taps = new WeakMap<object, Tap>();

/** Whether somebody who writes to this store listens already. */
export function isTapped(worker: object, store: StatusStore): boolean {
  return taps.get(worker)?.tapped.has(store) ?? false;
}

/**
 * Lets somebody listen.
 *
 * @returns ends it; with the last one gone the worker is as it was before the first
 */
export function tap(worker: object, store: StatusStore, listener: Tapped): () => void {
  const installed = taps.get(worker) ?? install(worker as Tappable);
  const { tapped, restore } = installed;
  taps.set(worker, installed);
  tapped.set(store, listener);
  return () => {
    tapped.delete(store);
    // Where somebody has since put a method of theirs over ours, ours stays below it and does nothing.
    if (tapped.size === 0 && restore()) taps.delete(worker);
  };
}

function install(worker: Tappable): Tap {
  const tapped = new Map<StatusStore, Tapped>();
  const { emit, close } = worker;
  const theirs = { emit, close };
  const ours: Tappable = {
    emit(event, ...args) {
      for (const { onEvent } of tapped.values()) onEvent(event, args);
      return emit.call(worker, event, ...args);
    },
    async close(...args) {
      const closing = [...tapped.values()]
        .map(({ onClosing }) => onClosing())
        .filter((each) => each !== undefined);
      try {
        // Not even a turn later, unless somebody asks for it: a worker that closes takes no job any more.
        if (closing.length > 0) await Promise.all(closing);
        await close.apply(worker, args);
      } finally {
        await Promise.all([...tapped.values()].map(({ onClosed }) => onClosed()));
      }
    },
  };
  Object.assign(worker, ours);
  return {
    tapped,
    restore() {
      if (worker.emit !== ours.emit || worker.close !== ours.close) return false;
      for (const name of ['emit', 'close'] as const) {
        // With ours gone its class gives the worker its own again, unless another object's stood there.
        Reflect.deleteProperty(worker, name);
        if (worker[name] !== theirs[name]) Object.assign(worker, { [name]: theirs[name] });
      }
      return true;
    },
  };
}

import { JobStatusError } from './errors.ts';
import { foldUpdates } from './merge.ts';
import type { PendingUpdate } from './pending.ts';
import type { StatusUpdate } from './types.ts';

interface FlushWaiter {
  /** The last ticket it waits for. */
  readonly upTo: number;
  readonly isPatient: boolean;
  /** Updates of its own that were given up meanwhile. */
  readonly lost: StatusUpdate[];
  end(unsaved: readonly StatusUpdate[]): void;
}

/** Those who wait until every update up to a ticket is stored. */
export interface FlushWaiters {
  count(): number;
  /** Whether somebody waits who can't wait for long. */
  areHurried(): boolean;
  /**
   * Resolves when all up to the ticket is stored.
   *
   * @param cause what went wrong last, asked where the wait fails
   * @param isPatient whether the store may rest meanwhile for as long as it should
   * @throws {JobStatusError} `ERR_FLUSH_INCOMPLETE` at the deadline, or where some were given up
   */
  wait(upTo: number, timeoutMs: number, cause: () => unknown, isPatient?: boolean): Promise<void>;
  /** Tells those who wait for them that these updates will never be stored. */
  lose(entries: readonly PendingUpdate[]): void;
  /** Lets those go whose updates are all stored or given up. */
  settle(): void;
}

/** @param allUnsaved every entry that is not stored */
export function createFlushWaiters(allUnsaved: () => readonly PendingUpdate[]): FlushWaiters {
  const waiters = new Set<FlushWaiter>();
  const updatesUpTo = (entries: readonly PendingUpdate[], upTo: number) =>
    entries.filter((entry) => entry.ticket <= upTo).map((entry) => entry.update);

  function settle(): void {
    for (const waiter of waiters) {
      if (updatesUpTo(allUnsaved(), waiter.upTo).length === 0) waiter.end([]);
    }
  }

  return {
    count: () => waiters.size,
    areHurried: () => [...waiters].some(({ isPatient }) => !isPatient),
    wait: (upTo, timeoutMs, cause, isPatient = false) =>
      new Promise((resolve, reject) => {
        const lost: StatusUpdate[] = [];
        const end = (unsaved: readonly StatusUpdate[]) => {
          clearTimeout(deadline);
          waiters.delete(waiter);
          const updates = foldUpdates([...lost, ...unsaved]);
          if (updates.length === 0) return resolve();
          const message = `${updates.length} updates are not stored, after up to ${timeoutMs} ms`;
          reject(new JobStatusError('ERR_FLUSH_INCOMPLETE', message, { updates, cause: cause() }));
        };
        const deadline = setTimeout(() => end(updatesUpTo(allUnsaved(), upTo)), timeoutMs);
        const waiter = { upTo, isPatient, lost, end };
        waiters.add(waiter);
        settle();
      }),
    lose(entries) {
      for (const { upTo, lost } of waiters) lost.push(...updatesUpTo(entries, upTo));
    },
    settle,
  };
}

import { JobStatusError } from '../../src/errors.ts';
import { MemoryStatusStore } from '../../src/stores/memory.ts';
import type { StatusUpdate } from '../../src/types.ts';

/** What becomes of one write. */
export type Answer =
  | 'store'
  /** Refuses the whole batch for good, where one of these jobs is in it. */
  | { readonly refuse: readonly string[] }
  /** Fails, nothing stored. */
  | { readonly fail: unknown }
  /** Throws instead of returning a promise. */
  | { readonly throw: unknown }
  /** Stores, then loses the reply. */
  | { readonly loseReply: unknown }
  /** Stores the first half, then fails. */
  | { readonly storeHalf: unknown }
  | 'hang';

/** A store that fails in every way a real one can. */
export class FakeStore extends MemoryStatusStore {
  /** Every batch it was asked to write, as job ids. */
  readonly batches: string[][] = [];
  readonly aborted: unknown[] = [];
  #answer: (batch: readonly StatusUpdate[]) => Answer = () => 'store';
  #inWrite = 0;
  /** The most writes that were under way at once. */
  mostAtOnce = 0;

  /** Sets what becomes of each write from now on. */
  answers(answer: Answer | ((batch: readonly StatusUpdate[]) => Answer)): this {
    this.#answer = typeof answer === 'function' ? answer : () => answer;
    return this;
  }

  override write(
    updates: readonly StatusUpdate[],
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<void> {
    this.batches.push(updates.map((update) => update.jobId));
    const answer = this.#answer(updates);
    if (typeof answer === 'object' && 'throw' in answer) throw answer.throw;
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#inWrite);
    return this.#settle(updates, answer, signal).finally(() => this.#inWrite--);
  }

  async #settle(
    updates: readonly StatusUpdate[],
    answer: Answer,
    signal?: AbortSignal,
  ): Promise<void> {
    // A real one answers in a later turn.
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (answer === 'hang') {
      return new Promise(() =>
        signal?.addEventListener('abort', () => this.aborted.push(signal.reason)),
      );
    }
    if (answer === 'store') return super.write(updates);
    if ('fail' in answer) throw answer.fail;
    if ('loseReply' in answer) {
      await super.write(updates);
      throw answer.loseReply;
    }
    if ('storeHalf' in answer) {
      await super.write(updates.slice(0, updates.length / 2));
      throw answer.storeHalf;
    }
    if ('refuse' in answer && updates.some((update) => answer.refuse.includes(update.jobId))) {
      throw new JobStatusError('ERR_STORE_REFUSED', 'violates a constraint');
    }
    return super.write(updates);
  }
}

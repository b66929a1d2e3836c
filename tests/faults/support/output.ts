import type { JobStatusError, StatusStore, StatusUpdate } from 'bullmq-job-status';
import { inspect } from 'node:util';
import { expect } from 'vitest';

/** All that a program would print, log or store: gathered, to be searched for credentials. */
export class Output {
  #text = '';
  readonly errors: JobStatusError[] = [];
  readonly #counts = new Map<string, number>();

  /** Takes in a piece of what a child prints, which may end anywhere. */
  addPiece(text: string): void {
    this.#text += text;
  }

  /** Takes in what is no error of ours, such as a row. */
  add(said: unknown): void {
    this.#text += `${typeof said === 'string' ? said : inspect(said, { depth: 10 })}\n`;
  }

  /** As `onError`. */
  readonly onError = (error: JobStatusError, updates: readonly StatusUpdate[]): void => {
    this.errors.push(error);
    this.#counts.set(error.code, (this.#counts.get(error.code) ?? 0) + 1);
    // As people print it, with its cause and what that has, and as loggers do.
    this.add(error);
    this.add(`${String(error.stack)} ${JSON.stringify(error)} ${JSON.stringify(error.cause)}`);
    this.add(`${updates.length} updates`);
  };

  /** As `logger`. */
  readonly logger = {
    debug: (details: object, message: string) => this.add({ details, message }),
    info: (details: object, message: string) => this.add({ details, message }),
    warn: (details: object, message: string) => this.add({ details, message }),
    error: (details: object, message: string) => this.add({ details, message }),
  };

  /** How many errors of each code were told. */
  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  /** Takes in rows of a queue, too: the newest thousand. */
  async addRows(store: StatusStore, queue: string): Promise<void> {
    const page = await store.list?.({ queue, limit: 1_000 });
    this.add(JSON.stringify(page?.items));
  }

  /** Holds that none of these, in any usual spelling, is in it. */
  expectNone(secrets: readonly string[]): void {
    expect(this.#text.length).toBeGreaterThan(0);
    for (const secret of secrets) {
      for (const spelling of [secret, encodeURIComponent(secret), btoa(secret)]) {
        const at = this.#text.indexOf(spelling);
        expect(at === -1 ? '' : this.#text.slice(Math.max(0, at - 200), at + 50)).toBe('');
      }
    }
  }
}

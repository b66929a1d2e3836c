import type { Alteration, JsonValue } from './types.ts';

/*
 * Job values are the user's: they may hold what JSON or a database refuses, they may change after the
 * event, and reading them may run the user's code. So each is copied once, when the snapshot is
 * taken, into what every store can hold, and what the copy had to change is said beside it.
 */

const MAX_DEPTH = 100;

/** A copy that every store can hold, and what differs in it from the original. */
export interface Storable {
  readonly value: JsonValue;
  readonly altered: readonly Alteration[];
}

const VERBATIM: readonly Alteration[] = [];

/**
 * Copies a value as JSON would, without ever throwing.
 *
 * @param maxBytes how much to keep, counted as UTF-16 units of text and 8 for any other value
 */
export function toStorable(value: unknown, maxBytes: number): Storable {
  if (value === undefined || value === null) return { value: null, altered: VERBATIM };
  if (typeof value === 'boolean') return { value, altered: VERBATIM };
  if (typeof value === 'number' && Number.isFinite(value)) return { value, altered: VERBATIM };
  const copier = new Copier(maxBytes);
  const copy = copier.copy(value, '') ?? null;
  return { value: copy, altered: copier.altered.size === 0 ? VERBATIM : [...copier.altered] };
}

class Copier {
  readonly altered = new Set<Alteration>();
  readonly #ancestors = new Set<object>();
  #bytesLeft: number;

  constructor(maxBytes: number) {
    this.#bytesLeft = maxBytes;
  }

  /** The copy; `undefined` where JSON would leave the value out. `key` is what `toJSON` is told. */
  copy(value: unknown, key: string): JsonValue | undefined {
    if (!this.#spend(8)) return null;
    switch (typeof value) {
      case 'string':
        return this.text(value);
      case 'number':
        return Number.isFinite(value) ? value : this.#altered('non-finite-number', null);
      case 'bigint':
        return this.#altered('bigint', this.text(value.toString()));
      case 'object':
        return value === null ? null : this.#object(value, key);
      case 'function':
      case 'symbol':
        return this.#altered(typeof value as 'function' | 'symbol', undefined);
      case 'boolean':
        return value;
      default:
        return undefined;
    }
  }

  /** A string that Postgres takes, cut where the room ends. */
  text(value: string): string {
    let text = value;
    if (text.length > this.#bytesLeft) text = this.#altered('too-large', text.slice(0, this.#bytesLeft));
    this.#bytesLeft -= text.length;
    if (text.includes('\0') || !text.isWellFormed()) {
      // A cut through a surrogate pair is mended here too.
      text = this.#altered('invalid-unicode', text.replaceAll('\0', '\uFFFD').toWellFormed());
    }
    return text;
  }

  #object(value: object, key: string): JsonValue | undefined {
    if (this.#ancestors.has(value)) return this.#altered('circular', '[Circular]');
    if (this.#ancestors.size >= MAX_DEPTH) return this.#altered('too-deep', null);
    this.#ancestors.add(value);
    try {
      if ('toJSON' in value && typeof value.toJSON === 'function') {
        const json: unknown = value.toJSON(key);
        if (json !== value) return this.copy(json, key);
      }
      return Array.isArray(value) ? this.#array(value) : this.#record(value);
    } catch {
      // A getter, a `toJSON` or a proxy's trap threw: the user's error, told by the alteration.
      return this.#altered('unreadable', null);
    } finally {
      this.#ancestors.delete(value);
    }
  }

  #array(values: readonly unknown[]): JsonValue {
    const copy: JsonValue[] = [];
    for (const value of values) {
      if (!this.#hasRoom()) break;
      copy.push(this.copy(value, String(copy.length)) ?? null);
    }
    return copy;
  }

  #record(record: object): JsonValue {
    const copy: { [key: string]: JsonValue } = {};
    for (const key of Object.keys(record)) {
      if (!this.#hasRoom()) break;
      const value = this.copy(record[key as keyof typeof record], key);
      if (value === undefined) continue;
      const name = this.text(key);
      if (name === '__proto__') {
        // Assigning it would set the copy's prototype.
        Object.defineProperty(copy, name, { value, enumerable: true, configurable: true, writable: true });
      } else {
        copy[name] = value;
      }
    }
    return copy;
  }

  #spend(bytes: number): boolean {
    if (!this.#hasRoom()) return false;
    this.#bytesLeft -= bytes;
    return true;
  }

  #hasRoom(): boolean {
    if (this.#bytesLeft > 0) return true;
    this.altered.add('too-large');
    return false;
  }

  #altered<T>(why: Alteration, value: T): T {
    this.altered.add(why);
    return value;
  }
}

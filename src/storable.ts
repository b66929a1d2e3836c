import type { Alteration, JsonValue } from './types.ts';

/*
 * Job values are the user's: they may hold what JSON or a database refuses, they may change after the
 * event, and reading them may run the user's code. So each is copied once, when the snapshot is
 * taken, into what every store can hold, and what the copy had to change is said beside it.
 */

const MAX_DEPTH = 100;

/** What any value takes of `maxLength`, beside a text's own length. */
const VALUE_LENGTH = 8;

/** A copy that every store can hold, and what differs in it from the original. */
export interface Storable {
  readonly value: JsonValue;
  readonly altered: readonly Alteration[];
}

/** Text that every store takes: Postgres refuses `U+0000` and halves of surrogate pairs. */
export function toText(text: string): string {
  // Nearly all are: to ask costs a tenth of copying.
  if (text.isWellFormed() && !text.includes('\0')) return text;
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}

/**
 * Copies a value as JSON would (but for `new Number(5)` and its like), without ever throwing.
 *
 * @param maxLength how much to keep, counted as UTF-16 units of text and 8 for each value
 */
export function toStorable(original: unknown, maxLength: number): Storable {
  if (isPlain(original)) return { value: original, altered: NOTHING };
  const altered = new Set<Alteration>();
  const ancestors = new Set<unknown>();
  let lengthLeft = maxLength;

  /** The copy; `undefined` where JSON would leave the value out. `key` is what `toJSON` is told. */
  function copy(value: unknown, key: string): JsonValue | undefined {
    lengthLeft -= VALUE_LENGTH;
    if (typeof value === 'string') return copyText(value);
    if (typeof value === 'bigint') return alter('bigint', copyText(String(value)));
    if (typeof value === 'function') return alter('function', undefined);
    if (typeof value === 'symbol') return alter('symbol', undefined);
    if (typeof value === 'number') {
      // JSON has no -0: this makes it the 0 that every database would read back.
      return Number.isFinite(value) ? value + 0 : alter('non-finite-number', null);
    }
    if (typeof value !== 'object' || value === null) return value as JsonValue | undefined;
    if (ancestors.has(value)) return alter('circular', '[Circular]');
    if (ancestors.size >= MAX_DEPTH) return alter('too-deep', null);
    ancestors.add(value);
    try {
      const { toJSON } = value as { toJSON?: unknown };
      if (typeof toJSON !== 'function') return copyFields(value);
      const json: unknown = Reflect.apply(toJSON, value, [key]);
      // JSON asks nobody twice: what `toJSON` gave is taken as it is.
      return typeof json === 'object' && json !== null ? copyFields(json) : copy(json, key);
    } catch {
      // A getter, a `toJSON` or a proxy's trap threw: the user's error, told by the alteration.
      return alter('unreadable', null);
    } finally {
      ancestors.delete(value);
    }
  }

  function copyFields(value: object): JsonValue {
    if (Array.isArray(value)) {
      const items: JsonValue[] = [];
      for (const item of value) {
        if (isFull()) break;
        items.push(copy(item, String(items.length)) ?? null);
      }
      return items;
    }
    const entries: [string, JsonValue][] = [];
    for (const name of Object.keys(value)) {
      // A key is kept whole or not at all: cut, it would be another.
      if (isFull(name.length)) break;
      const key = copyText(name);
      const field = copy(value[name as keyof typeof value], name);
      if (field !== undefined) entries.push([key, field]);
    }
    // Unlike an assignment it takes `__proto__` for a key like any other.
    return Object.fromEntries(entries);
  }

  /** Cut where the room ends; a cut through a surrogate pair is mended too. */
  function copyText(value: string): string {
    const cut = value.slice(0, Math.max(0, lengthLeft));
    if (cut.length < value.length) altered.add('too-large');
    lengthLeft -= cut.length;
    const text = toText(cut);
    return text === cut ? text : alter('invalid-unicode', text);
  }

  function isFull(keyLength = 0): boolean {
    return lengthLeft < keyLength + VALUE_LENGTH && alter('too-large', true);
  }

  function alter<T>(why: Alteration, value: T): T {
    altered.add(why);
    return value;
  }

  const value = copy(original, '') ?? null;
  return { value, altered: [...altered] };
}

const NOTHING: readonly Alteration[] = [];

/** A value that is its own copy, such as progress most often is. */
function isPlain(value: unknown): value is number | boolean | null {
  return Number.isSafeInteger(value)
    ? !Object.is(value, -0)
    : typeof value === 'boolean' || value === null;
}

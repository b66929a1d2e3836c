import { isDeepStrictEqual } from 'node:util';
import { toStorable } from '../storable.ts';
import type { JsonValue } from '../types.ts';

/** Whether one JSON value contains another, as Postgres' `jsonb @> jsonb` has it. */
export function contains(whole: JsonValue, part: JsonValue): boolean {
  if (isList(part))
    return isList(whole) && part.every((item) => whole.some((each) => contains(each, item)));
  if (!isRecord(part)) return whole === part;
  if (!isRecord(whole)) return false;
  return Object.entries(part).every(
    ([key, value]) => Object.hasOwn(whole, key) && contains(whole[key] as JsonValue, value),
  );
}

/**
 * Whether a value is what JSON gives back as it was. `{ tenant: undefined }` is not: it would come
 * back as `{}`, which every row contains.
 */
export function isJsonRecord(value: unknown): value is { readonly [key: string]: JsonValue } {
  return isRecord(value) && isDeepStrictEqual(toStorable(value, Infinity).value, value);
}

function isList(value: unknown): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isRecord(value: unknown): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

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
  return isRecord(value) && isJson(value);
}

function isJson(value: unknown, depth = 0): boolean {
  // Far deeper than what rows hold, and it ends what refers to itself.
  if (depth > 1_000) return false;
  const isWithin = (inner: unknown) => isJson(inner, depth + 1);
  if (isList(value)) return value.every(isWithin);
  if (typeof value === 'object' && value !== null)
    return isPlain(value) && Object.values(value).every(isWithin);
  return ['string', 'boolean'].includes(typeof value) || value === null || Number.isFinite(value);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function isList(value: unknown): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isRecord(value: unknown): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

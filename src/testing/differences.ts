import { inspect } from 'node:util';

/**
 * What of a value is not as it should be, one line for each field. A field that it has beside what it should
 * have is its own business at the top; further down, within values of the job, it is a difference.
 */
export function differences(expected: unknown, actual: unknown): string[] {
  if (!isRecord(expected) || !isRecord(actual)) return differ('', expected, actual);
  return Object.entries(expected).flatMap(([field, value]) =>
    differ(field, value, actual[field], field in actual),
  );
}

function differ(path: string, expected: unknown, actual: unknown, isThere = true): string[] {
  if (!isThere) return [`${path}: expected ${show(expected)}, but it is not there`];
  if (isRecord(expected) && isRecord(actual)) {
    const fields = new Set([...Object.keys(expected), ...Object.keys(actual)]);
    return [...fields].flatMap((field) =>
      differ(`${path}.${field}`, own(expected, field), own(actual, field)),
    );
  }
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length)
    return expected.flatMap((item, at) => differ(`${path}[${at}]`, item, actual[at]));
  const isSame =
    isDate(expected) && isDate(actual)
      ? Object.is(expected.getTime(), actual.getTime())
      : expected === actual;
  if (isSame) return [];
  return [`${path === '' ? '' : `${path}: `}expected ${tell(expected, actual)}`];
}

/** The two as they are shown, or, where they look alike, the first character in which they are not. */
function tell(expected: unknown, actual: unknown): string {
  const both = `${show(expected)}, got ${show(actual)}`;
  if (typeof expected !== 'string' || typeof actual !== 'string') return both;
  if (show(expected).normalize('NFKC') !== show(actual).normalize('NFKC')) return both;
  const at = expected.split('').findIndex((unit, n) => unit !== actual[n]);
  return `${both}: they differ at ${at}, ${escaped(expected, at)} and ${escaped(actual, at)}`;
}

function escaped(text: string, at: number): string {
  const units = text.slice(at, at + 4).split('');
  return units.map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
}

function own(record: Record<string, unknown>, field: string): unknown {
  return Object.hasOwn(record, field) ? record[field] : undefined;
}

/*
 * Told by what they say of themselves and not by their class: a runner may give tests a global object of their own,
 * and what `structuredClone` or a database's client makes is then of another `Date`.
 */

export function isDate(value: unknown): value is Date {
  return Object.prototype.toString.call(value) === '[object Date]';
}

/** Any object but those with a meaning of their own: rows may be of a class or of none. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isDate(value);
}

/** A value on one line, short enough to be read. */
export function show(value: unknown): string {
  return inspect(value, {
    depth: 4,
    breakLength: Infinity,
    compact: true,
    maxStringLength: 60,
    maxArrayLength: 8,
  });
}

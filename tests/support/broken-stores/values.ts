import type { JsonValue } from '../../../src/types.ts';
import { storeWith, type BrokenStore } from './base.ts';
import { deeply, GONE, isRecord, rowsAs, valuesAs } from './shown.ts';

/* Values that are not what they were. */

function toDepth(value: JsonValue, left: number): JsonValue {
  if (left === 0) return null;
  if (Array.isArray(value)) return value.map((each: JsonValue) => toDepth(each, left - 1));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, toDepth(each, left - 1)]),
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export const VALUES: readonly BrokenStore[] = [
  {
    mistake: 'falsy values are lost (`result || null`)',
    law: 'Values',
    shows: /(result|progress): expected (0|''|false), got null/,
    shortest: 1,
    createStore: () => storeWith({ show: (row) => ({ ...row, result: row.result || null }) }),
  },
  {
    mistake: '`result` is made text twice',
    law: 'Values',
    shows: 'result: expected',
    shortest: 1,
    createStore: () =>
      storeWith({ show: (row) => ({ ...row, result: JSON.stringify(row.result) }) }),
  },
  {
    mistake: 'text is cut at 255 characters',
    law: 'Values',
    shows: 'xxx',
    shortest: 1,
    createStore: valuesAs((value) => (typeof value === 'string' ? value.slice(0, 255) : value)),
  },
  {
    mistake: 'text within values that looks like a time becomes a Date',
    law: 'Values',
    shows: "expected '2026-01-01T00:00:00.000Z', got 2026-01-01T00:00:00.000Z",
    shortest: 1,
    createStore: deeply((value) =>
      typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) ? new Date(value) : value,
    ),
  },
  {
    mistake: 'text that is JSON is parsed when it is read',
    law: 'Values',
    shows: /expected '(null|true|0)', got (null|true|0)/,
    shortest: 1,
    createStore: deeply((value) => (typeof value === 'string' ? parsed(value) : value)),
  },
  {
    mistake: 'an empty list comes back as an empty object',
    law: 'Values',
    shows: 'expected [], got {}',
    shortest: 1,
    createStore: deeply((value) => (Array.isArray(value) && value.length === 0 ? {} : value)),
  },
  {
    mistake: 'empty text is none',
    law: 'Values',
    shows: "expected '', got null",
    shortest: 1,
    createStore: deeply((value) => (value === '' ? null : value)),
  },
  {
    mistake: 'what is null within values is left out',
    law: 'Values',
    shows: /expected null, got undefined/,
    shortest: 1,
    createStore: valuesAs((value) =>
      isRecord(value)
        ? Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null))
        : value,
    ),
  },
  {
    mistake: 'text is normalised',
    law: 'Values',
    shows: "data: expected 'e\u0301', got '\u00E9'",
    shortest: 1,
    createStore: deeply((value) => (typeof value === 'string' ? value.normalize() : value)),
  },
  {
    mistake: 'numbers are kept with single precision',
    law: 'Values',
    shows: /expected 0.1, got 0.10000000149/,
    shortest: 1,
    createStore: deeply((value) => (typeof value === 'number' ? Math.fround(value) : value)),
  },
  {
    mistake: 'the last digits of clock readings and sequences are lost',
    law: 'Values',
    shows: 'sequence: expected 9007199254740991, got',
    shortest: 1,
    createStore: rowsAs((_, value) =>
      typeof value === 'number' ? Number(value.toPrecision(15)) : value,
    ),
  },
  {
    mistake: 'keys with a dot or a dollar are changed',
    law: 'Values',
    shows: 'a.b',
    shortest: 1,
    createStore: valuesAs((value) =>
      isRecord(value)
        ? Object.fromEntries(
            Object.entries(value).map(([key, each]) => [key.replaceAll(/[.$]/g, '_'), each]),
          )
        : value,
    ),
  },
  {
    mistake: 'values nested deeper than 20 levels are cut off',
    law: 'Values',
    shows: 'expected',
    shortest: 1,
    createStore: valuesAs((value) => toDepth(value, 20)),
  },
  {
    mistake: 'fields of null are left out',
    law: 'Values',
    shows: 'expected null, but it is not there',
    shortest: 1,
    createStore: rowsAs((_, value) => value ?? GONE),
  },
  {
    mistake: 'fields of null are undefined',
    law: 'Values',
    shows: 'expected null, got undefined',
    shortest: 1,
    createStore: rowsAs((_, value) => value ?? undefined),
  },
  {
    mistake: 'clock readings are text, as drivers give large numbers',
    law: 'Values',
    shows: /sequence: expected -?\d+, got '-?\d+'/,
    shortest: 1,
    createStore: rowsAs((_, value) =>
      typeof value === 'number' && Math.abs(value) > 2 ** 31 ? String(value) : value,
    ),
  },
  {
    mistake: 'true and false are 1 and 0',
    law: 'Values',
    shows: 'attemptFailed: expected false, got 0',
    shortest: 1,
    createStore: rowsAs((_, value) => (typeof value === 'boolean' ? Number(value) : value)),
  },
  {
    mistake: 'the stack of an error is not kept',
    law: 'Values',
    shows: 'error.stack: expected',
    shortest: 1,
    createStore: rowsAs((field, value) =>
      field === 'error' && isRecord(value)
        ? { name: value['name'], message: value['message'] }
        : value,
    ),
  },
];

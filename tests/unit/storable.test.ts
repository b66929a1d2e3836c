import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toStorable } from '../../src/storable.ts';

const MB = 1_000_000;

describe('what JSON holds comes out as JSON would give it', () => {
  test('any JSON value, and nothing is altered', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!JSON.stringify(value).includes(String.raw`\u0000`));
        const { value: copy, altered } = toStorable(value, MB);
        expect(JSON.stringify(copy)).toBe(JSON.stringify(value));
        expect(altered).toEqual([]);
      }),
    );
  });

  test('dates, maps, classes, undefined and toJSON, as in JSON.stringify', () => {
    class Money {
      readonly amount = 5;
      toJSON() {
        return { euros: this.amount };
      }
    }
    const value = {
      at: new Date(0),
      map: new Map([[1, 2]]),
      money: new Money(),
      none: undefined,
      list: [undefined],
    };
    expect(toStorable(value, MB)).toEqual({
      value: JSON.parse(JSON.stringify(value)),
      altered: [],
    });
  });

  test('what toJSON gives is not asked again', () => {
    const value = {
      a: 1,
      toJSON() {
        return { ...this };
      },
    };
    expect(toStorable(value, MB)).toEqual({ value: { a: 1 }, altered: ['function'] });
  });

  test('the copy shares nothing with the original', () => {
    const value = { list: [{ n: 1 }] };
    const { value: copy } = toStorable(value, MB);
    (value.list[0] as { n: number }).n = 2;
    expect(copy).toEqual({ list: [{ n: 1 }] });
  });

  test('an object that stands twice, but not within itself, is no circle', () => {
    const shared = { n: 1 };
    expect(toStorable([shared, shared], MB)).toEqual({ value: [{ n: 1 }, { n: 1 }], altered: [] });
  });
});

describe('what cannot be stored is stored as what can, and said', () => {
  const circular: Record<string, unknown> = { n: 1 };
  circular['self'] = circular;
  const deep = Array.from({ length: 300 }).reduce<unknown>((inner) => [inner], 0);

  test.each<[string, unknown, unknown, string]>([
    ['a circle', circular, { n: 1, self: '[Circular]' }, 'circular'],
    ['a BigInt', { id: 2n ** 64n }, { id: '18446744073709551616' }, 'bigint'],
    ['a function', () => 1, null, 'function'],
    ['a function in an object', { f: () => 1, n: 1 }, { n: 1 }, 'function'],
    ['a symbol in a list', [Symbol('s'), 1], [null, 1], 'symbol'],
    ['NaN', [NaN, Infinity], [null, null], 'non-finite-number'],
    ['U+0000', 'a\0b', 'a\uFFFDb', 'invalid-unicode'],
    ['half a surrogate pair', { k: 'a\uD800' }, { k: 'a\uFFFD' }, 'invalid-unicode'],
    ['a key with U+0000', { 'k\0': 1 }, { 'k\uFFFD': 1 }, 'invalid-unicode'],
    [
      'a getter that throws',
      {
        get bad() {
          throw new Error('no');
        },
      },
      null,
      'unreadable',
    ],
    [
      'a toJSON that throws',
      {
        toJSON: () => {
          throw new Error('no');
        },
      },
      null,
      'unreadable',
    ],
    ['a revoked proxy', revoked(), null, 'unreadable'],
  ])('%s', (_, value, copy, why) => {
    expect(toStorable(value, MB)).toEqual({ value: copy, altered: [why] });
  });

  test('nesting past 100 levels', () => {
    const { value, altered } = toStorable(deep, MB);
    expect(altered).toEqual(['too-deep']);
    expect(JSON.stringify(value)).toBe('['.repeat(100) + 'null' + ']'.repeat(100));
  });

  test('5 MB are cut to maxValueLength', () => {
    expect(toStorable('x'.repeat(5 * MB), 1_000)).toEqual({
      value: 'x'.repeat(992),
      altered: ['too-large'],
    });
    for (const value of [
      Array(5 * MB).fill(1),
      { rows: Array.from({ length: 10_000 }, () => 'y'.repeat(500)) },
    ]) {
      const { value: copy, altered } = toStorable(value, 1_000);
      expect(altered).toEqual(['too-large']);
      expect(JSON.stringify(copy).length).toBeLessThan(1_200);
    }
  });

  test('a key is kept whole or not at all, and what came before the cut stays', () => {
    expect(toStorable({ id: 7, html: 'x'.repeat(5_000), rest: 1 }, 1_000)).toEqual({
      value: { id: 7, html: expect.stringMatching(/^x{900,1000}$/) },
      altered: ['too-large'],
    });
    expect(toStorable({ id: 7, ['k'.repeat(2_000)]: 1 }, 1_000)).toEqual({
      value: { id: 7 },
      altered: ['too-large'],
    });
  });

  test('a cut through a surrogate pair leaves no half of it', () => {
    const { value } = toStorable('😀'.repeat(1_000), 999);
    expect((value as string).isWellFormed()).toBe(true);
  });

  test('__proto__ is a key like any other', () => {
    const value: unknown = JSON.parse('{"__proto__": {"admin": true}}');
    const { value: copy } = toStorable(value, MB);
    expect(JSON.stringify(copy)).toBe('{"__proto__":{"admin":true}}');
    expect((copy as { admin?: unknown }).admin).toBeUndefined();
  });

  test('whatever comes, it never throws, and what it gives is JSON that Postgres takes', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
        (value) => {
          const { value: copy } = toStorable(value, 500);
          const json = JSON.stringify(copy);
          expect(json).not.toMatch(/\\u0000|\\ud[89a-f]/);
          expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(copy)));
        },
      ),
    );
  });
});

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

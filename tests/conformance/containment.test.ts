import fc from 'fast-check';
import { Pool } from 'pg';
import { expect, inject, test } from 'vitest';
import { contains } from '../../src/stores/containment.ts';
import type { JsonValue } from '../../src/types.ts';

/* What the memory store takes for containment is what Postgres' `@>` does, on values of every kind. */

type JsonRecord = { readonly [key: string]: JsonValue };

const key = fc.constantFrom('a', 'b', 'c', '__proto__', '');
const leaf = fc.constantFrom<JsonValue>(null, true, false, 0, 1, 1.5, 1e300, '', 'a', '1', 'null');
const { record } = fc.letrec<{ value: JsonValue; record: JsonRecord }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    tie('record'),
  ),
  record: fc.dictionary(key, tie('value'), { maxKeys: 3, noNullPrototype: true }),
}));

/** A part of a value: some of its keys and items, in another order, by the dice. */
function partOf(value: JsonValue, roll: (below: number) => number): JsonValue {
  if (Array.isArray(value)) {
    const items = (value as readonly JsonValue[]).filter(() => roll(3) > 0);
    return items.map((item) => partOf(item, roll)).toReversed();
  }
  if (typeof value !== 'object' || value === null) return roll(8) === 0 ? 1 : value;
  const entries = Object.entries(value).filter(() => roll(3) > 0);
  return Object.fromEntries(entries.map(([name, field]) => [name, partOf(field, roll)]));
}

test('5,000 pairs of values: contained here as in Postgres', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  const pairs = fc
    .sample(fc.tuple(record, record, fc.infiniteStream(fc.nat())), { numRuns: 2_500, seed })
    .flatMap(([whole, other, dice]) => {
      const roll = (below: number) => (dice.next().value as number) % below;
      return [
        [whole, other],
        [whole, partOf(whole, roll)],
      ] as [JsonRecord, JsonValue][];
    });
  const pool = new Pool({ connectionString: inject('parts').connectionString });
  const { rows } = await pool.query<{ contained: boolean }>(
    'select pair -> 0 @> (pair -> 1) as contained from jsonb_array_elements($1) with ordinality p (pair, n) order by n',
    [JSON.stringify(pairs)],
  );
  await pool.end();
  const contained = rows.filter((row) => row.contained).length;
  expect(contained).toBeGreaterThan(500);
  expect(contained).toBeLessThan(4_500);
  for (const [at, [whole, part]] of pairs.entries())
    expect({ seed, whole, part, contained: contains(whole, part) }).toEqual({
      seed,
      whole,
      part,
      contained: rows[at]?.contained,
    });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromCursor, nextPlace, toCursor } from '../../src/queue/postgres-cursor.ts';

/*
 * Places in a stream of events, against a model of how Postgres shows what transactions write: ids of
 * transactions and of events are given in order, and each look sees what has been committed, and which is the
 * oldest transaction that has not ended.
 */

interface Transaction {
  readonly xid: number;
  readonly ids: number[];
}

type Step =
  | { readonly kind: 'begin' | 'write' | 'commit' | 'rollback'; readonly of: number }
  | { readonly kind: 'look'; readonly limit: number };

class Model {
  nextXid = 100;
  nextId = 1;
  readonly open: Transaction[] = [];
  readonly committed = new Set<number>();
  readonly read: number[] = [];
  cursor = toCursor({ floor: 0, read: [], mark: null });

  step(step: Step): void {
    if (step.kind === 'look') {
      this.look(step.limit);
    } else if (step.kind === 'begin') {
      this.open.push({ xid: this.nextXid++, ids: [] });
    } else if (this.open.length > 0) {
      const at = step.of % this.open.length;
      if (step.kind === 'write') this.open[at]!.ids.push(this.nextId++);
      else {
        const [ended] = this.open.splice(at, 1);
        if (step.kind === 'commit') for (const id of ended!.ids) this.committed.add(id);
      }
    }
  }

  look(limit: number): boolean {
    const place = fromCursor(this.cursor);
    const xmin = Math.min(this.nextXid, ...this.open.map(({ xid }) => xid));
    const ids = [...this.committed]
      .filter((id) => id > place.floor && !place.read.includes(id))
      .toSorted((a, b) => a - b)
      .slice(0, limit);
    const settled = place.mark !== null && xmin >= Number(place.mark.transaction);
    const isMarked = place.mark === null && (ids.length > 0 || place.read.length > 0);
    const hasMore = ids.length >= limit;
    const there = [...this.committed].filter((id) => id > place.floor);
    const lowest = there.length === 0 ? null : Math.min(...there);
    const transaction = isMarked ? String(this.nextXid++) : null;
    this.read.push(...ids);
    this.cursor = toCursor(nextPlace(place, { ids, hasMore, lowest, settled, transaction }));
    return hasMore;
  }
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('begin' as const), of: fc.constant(0) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), of: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('commit' as const), of: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback' as const), of: fc.nat(9) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('look' as const),
      limit: fc.integer({ min: 1, max: 6 }),
    }),
  },
);

test('each event is read once, whatever its transaction’s turn', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const model = new Model();
      for (const each of steps) model.step(each);
      while (model.open.length > 0) model.step({ kind: 'commit', of: 0 });
      while (model.look(5));
      expect(model.read.toSorted((a, b) => a - b)).toEqual(
        [...model.committed].toSorted((a, b) => a - b),
      );
      // With nobody left to wait for, soon nothing is kept.
      for (let n = 0; n < 4; n += 1) model.look(5);
      expect(fromCursor(model.cursor).read).toEqual([]);
    }),
    { numRuns: 3_000 },
  );
});

test('what is trimmed is not waited for', () => {
  const place = { floor: 3, read: [5, 9, 12], mark: { transaction: '7', id: 12 } };
  const sight = { ids: [14], hasMore: false, lowest: 11, settled: false, transaction: null };
  expect(nextPlace(place, sight)).toEqual({ floor: 9, read: [12, 14], mark: place.mark });
});

test('a place holds a great many ids', () => {
  const ids = Array.from({ length: 300_000 }, (_, n) => n + 1);
  const sight = { ids, hasMore: false, lowest: 1, settled: false, transaction: '8' };
  const place = nextPlace({ floor: 0, read: [], mark: null }, sight);
  expect(place.mark).toEqual({ transaction: '8', id: 300_000 });
  expect(fromCursor(toCursor(place))).toEqual(place);
});

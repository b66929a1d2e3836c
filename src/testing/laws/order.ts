import type { StatusUpdate } from '../../types.ts';
import { canonicalHistories } from '../canonical.ts';
import { JobHistory } from '../histories.ts';
import { shuffles, type LawTest } from '../kit.ts';
import { permutations } from '../law.ts';
import { drawHistories } from '../random-histories.ts';
import { holdStepByStep, tellAtOnce, holdRows, sideBySide } from '../telling.ts';

/** How many orders of a canonical history are told beside forwards and backwards. */
const ORDERS = 24;

/** Forwards and backwards first; then every order, or some of them where they are very many. */
function ordersOf(history: readonly StatusUpdate[], seed: number): StatusUpdate[][] {
  const few = history.length <= 4;
  const others = few
    ? Array.from(permutations(history), (order) => [...order])
    : shuffles(history, ORDERS, seed);
  return [[...history], history.toReversed(), ...others];
}

export const order: readonly LawTest[] = [
  ...Object.entries(canonicalHistories()).map(([name, history]): LawTest => ({
    name: `Order: ${name}, told in any order`,
    run: (kit) => holdStepByStep('Order', kit, ordersOf(history, kit.seed), 2),
  })),
  {
    name: 'Order: an older snapshot changes nothing that a newer one told',
    async run(kit) {
      const { snapshots } = new JobHistory().start().progress().fail(1, 5).start(5).complete();
      const last = snapshots.slice(-1);
      const late = snapshots.slice(0, -1).map((older) => [...last, older]);
      await holdStepByStep('Order', kit, late, late.length);
    },
  },
  {
    name: 'Order: by the attempt, and not by when a snapshot was taken (updatedAt), whatever the clocks say',
    async run(kit) {
      // The second attempt runs on a host whose clock is 2 s behind: all that it tells looks older.
      const history = new JobHistory().start(1, 1_000).fail(1, 0).start(1, -1_000).complete();
      const { snapshots } = history;
      const falling = snapshots.map((snapshot, at) => ({
        ...snapshot,
        updatedAt: new Date(snapshot.updatedAt.getTime() - 1_000 * at),
      }));
      const orders = [snapshots, falling].flatMap((each) => ordersOf(each, kit.seed));
      await holdStepByStep('Order', kit, orders, orders.length);
    },
  },
  {
    name: 'Order: by the phase of an attempt before the sequence, which is of many hosts',
    async run(kit) {
      const { snapshots } = new JobHistory().start().fail(1, 0);
      const crossed = snapshots.map((each, at) => ({ ...each, sequence: 9 - at }));
      await holdStepByStep('Order', kit, ordersOf(crossed, kit.seed), 4);
    },
  },
  {
    name: 'Order: by the attempt as a number, so that the tenth comes after the ninth',
    async run(kit) {
      const history = new JobHistory();
      for (let attempt = 1; attempt <= 10; attempt++) history.start().fail(1, 0);
      const last = history.start().complete().snapshots.slice(-6);
      await holdStepByStep('Order', kit, ordersOf(last, kit.seed), 2);
    },
  },
  {
    name: 'Order: random histories, shuffled, one snapshot at a time',
    async run(kit) {
      const histories = drawHistories(kit).map(
        (history, at) => shuffles(history, 1, kit.seed + at)[0] ?? history,
      );
      await holdStepByStep('Order', kit, histories, 10);
    },
  },
  {
    name: 'Order: random histories, shuffled together, in batches of any size',
    async run(kit) {
      const store = await kit.open();
      const jobs = sideBySide(drawHistories(kit));
      const [told = []] = shuffles(jobs.flat(), 1, kit.seed);
      await tellAtOnce(store, told, { writers: 1, max: 200, seed: kit.seed });
      await holdRows('Order', kit, store, jobs, 'all in one write');
    },
  },
];

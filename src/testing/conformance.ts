import { within } from '../deadline.ts';
import { codeOf, kindOf, messageOf } from '../errors.ts';
import type { StatusFilter, StatusStore } from '../store.ts';
import { boolean, checkStore, resolve, unlike, wholeNumber, type Rule } from '../validate.ts';
import { broken, indent, type Law } from './failure.ts';
import type { Kit, LawTest, OptionalMethod, StoreCapabilities } from './kit.ts';
import { atomicity } from './laws/atomicity.ts';
import { attempts } from './laws/attempts.ts';
import { batches } from './laws/batches.ts';
import { delivery } from './laws/delivery.ts';
import { isolation } from './laws/isolation.ts';
import { keys } from './laws/keys.ts';
import { list } from './laws/list.ts';
import { merge } from './laws/merge.ts';
import { order } from './laws/order.ts';
import { prune } from './laws/prune.ts';
import { removal } from './laws/removal.ts';
import { status } from './laws/status.ts';
import { time } from './laws/time.ts';
import { values } from './laws/values.ts';
import { FILTERS } from './queries.ts';

/** What the suite tests, and how. */
export interface ConformanceOptions extends SuiteOptions {
  /**
   * Your runner's: vitest's, jest's or node:test's `test`, or any function that takes a name and what is to be
   * run. It is given a time limit in ms, too, for databases that are far away; that may be passed over.
   */
  readonly test: (name: string, run: () => Promise<void>, timeoutMs: number) => unknown;
}

/** The suite without a runner. */
export interface SuiteOptions {
  /**
   * Makes a store, once or twice for each test, and it is closed after that. All of them may keep their rows
   * in one place, or each in its own: every test has queues of its own.
   */
  readonly createStore: () => StatusStore | Promise<StatusStore>;
  /** What the store does beside `write` and `get`. @default all that its methods promise */
  readonly capabilities?: StoreCapabilities | undefined;
  /** What all that is random is drawn from: the same seed, the same tests. @default drawn by lot; told by what fails */
  readonly seed?: number | undefined;
  /** How many random histories there are, 1 to 100,000. @default 200 */
  readonly runs?: number | undefined;
}

/** One test of the suite, for a runner of your own. */
export interface ConformanceTest {
  /** The law that it is about. */
  readonly law: Law;
  /** It begins with the law. */
  readonly name: string;
  /** Rejects where the law is broken. @returns whether there was anything to test: the store may lack the method */
  readonly run: () => Promise<'held' | 'not there'>;
}

/** How long one test may take: hundreds of round trips. */
const TIMEOUT_MS = 120_000;

/** Somewhat less, so that it is the kit that tells: writers that wait for each other never end. */
const LIMIT_MS = TIMEOUT_MS - 5_000;

const TESTS: readonly LawTest[] = [
  ...merge,
  ...order,
  ...time,
  ...status,
  ...values,
  ...keys,
  ...batches,
  ...atomicity,
  ...delivery,
  ...isolation,
  ...attempts,
  ...list,
  ...removal,
  ...prune,
];

/**
 * Registers the tests that make a store right, or say why it is not: every law that rows are under, on
 * canonical and random histories. What fails tells the law, the shortest history that breaks it, and the seed.
 *
 * @throws {InvalidArgumentError} where an option is not what it must be
 */
export function statusStoreConformance(options: ConformanceOptions): void {
  const { test, ...suite } = options ?? {};
  if (typeof test !== 'function') throw unlike('options.test', 'a function', kindOf(test));
  for (const { name, run } of conformanceTests(suite))
    test(name, async () => void (await run()), TIMEOUT_MS);
}

/**
 * The same tests, for a runner of your own.
 *
 * @throws {InvalidArgumentError} where an option is not what it must be
 */
export function conformanceTests(options: SuiteOptions): ConformanceTest[] {
  const { createStore, capabilities, seed, runs } = resolve('options', options, RULES) as never as {
    createStore: SuiteOptions['createStore'];
    capabilities: StoreCapabilities;
    seed: number | undefined;
    runs: number;
  };
  if (createStore === undefined) throw unlike('options.createStore', A_FUNCTION, 'undefined');
  const drawn = { seed: seed ?? Math.floor(Math.random() * 2 ** 31), runs, capabilities };
  return TESTS.filter(({ needs }) => needs === undefined || capabilities[needs] !== false).map(
    (test) => ({
      law: lawOf(test.name),
      name: test.name,
      run: () => runTest(test, drawn, createStore),
    }),
  );
}

/** The law that a test is about. */
function lawOf(name: string): Law {
  return name.slice(0, name.indexOf(':')) as Law;
}

async function runTest(
  { name, needs, run }: LawTest,
  drawn: Omit<Kit, 'open'>,
  createStore: SuiteOptions['createStore'],
): Promise<'held' | 'not there'> {
  const opened: StatusStore[] = [];
  const open = async () => {
    const store = await createStore();
    checkStore(store);
    opened.push(store);
    return store;
  };
  const kit: Kit = { ...drawn, open };
  try {
    if (needs !== undefined) {
      const isThere = typeof (await open())[needs] === 'function';
      if (!isThere && drawn.capabilities[needs] === true)
        throw unlike(`store.${needs}`, 'a method, as capabilities has it', 'none');
      if (!isThere) return 'not there';
    }
    const late = () => new Error(`It was not done within ${LIMIT_MS / 1_000} s`);
    await within(LIMIT_MS, run(kit), late).catch((thrown: unknown) => {
      if (codeOf(thrown) === 'ERR_LAW_BROKEN') throw thrown;
      const lines = ['The store failed:', ...indent(messageOf(thrown).split('\n'))];
      throw broken(lawOf(name), kit, lines, [], thrown);
    });
    return 'held';
  } finally {
    for (const store of opened) await store.close?.();
  }
}

const A_FUNCTION = 'a function that returns a StatusStore';

const METHODS: readonly OptionalMethod[] = ['attempts', 'list', 'count', 'delete', 'prune'];
const MAY: Rule = { ...boolean(false), fallback: undefined };

const RULES = {
  createStore: { expected: A_FUNCTION, holds: (value: unknown) => typeof value === 'function' },
  capabilities: {
    keys: {
      ...Object.fromEntries([...METHODS, 'shared'].map((name) => [name, MAY])),
      filters: {
        expected: `a list of ${FILTERS.join(', ')}; queue must be among them`,
        holds: (value: unknown) =>
          Array.isArray(value) &&
          value.includes('queue') &&
          value.every((each) => FILTERS.includes(each as keyof StatusFilter)),
      },
    },
  },
  seed: {
    expected: 'a whole number',
    holds: (value: unknown) => Number.isSafeInteger(value),
  },
  runs: wholeNumber(200, 1, 100_000),
};

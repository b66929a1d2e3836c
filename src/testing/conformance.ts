import { within } from '../deadline.ts';
import { codeOf, kindOf, messageOf } from '../errors.ts';
import type { StatusFilter, StatusStore } from '../store.ts';
import { boolean, checkStore, resolve, unlike, type Rule } from '../validate.ts';
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
import { DRAWING } from './random-histories.ts';

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
   * in one place, or each in its own: every test has queues of its own. Not the rows that you need: the tests ask
   * to delete and to prune everything, which a right store refuses.
   */
  readonly createStore: () => StatusStore | Promise<StatusStore>;
  /**
   * Makes a store whose database is out of reach: a port where nobody listens, a client that was closed. Each of
   * its methods must reject; without it nobody can tell that errors of the database are not swallowed.
   */
  readonly createUnavailableStore?: (() => StatusStore | Promise<StatusStore>) | undefined;
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
const LIMIT_MS = TIMEOUT_MS - 10_000;
const LIMIT_AFTER_MS = 5_000;

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
  const { seed, ...resolved } = resolve('options', options, RULES) as never as Run & SuiteOptions;
  if (resolved.createStore === undefined)
    throw unlike('options.createStore', A_FUNCTION, 'undefined');
  const drawn = seed ?? Math.floor(Math.random() * 2 ** 31);
  const run: Run = { ...resolved, seed: drawn, limitMs: LIMIT_MS };
  const { capabilities } = resolved;
  return TESTS.filter(({ needs }) => needs === undefined || capabilities[needs] !== false).map(
    (test) => ({ law: lawOf(test.name), name: test.name, run: () => runTest(test, run) }),
  );
}

/** The law that a test is about. */
function lawOf(name: string): Law {
  return name.slice(0, name.indexOf(':')) as Law;
}

/** What a test is run with. */
interface Run extends Pick<Kit, 'seed' | 'runs' | 'capabilities'> {
  readonly createStore: () => StatusStore | Promise<StatusStore>;
  readonly createUnavailableStore?: SuiteOptions['createUnavailableStore'];
  /** How long a test may take: once one has never ended, others are not waited for as long. */
  limitMs: number;
}

async function runTest(test: LawTest, run: Run): Promise<'held' | 'not there'> {
  const opened: StatusStore[] = [];
  const opening = (create: Run['createStore']) => async () => {
    const store = await create();
    checkStore(store);
    opened.push(store);
    return without(store, run.capabilities);
  };
  const { createStore, createUnavailableStore: unavailable, ...drawn } = run;
  const openUnavailable = unavailable && opening(unavailable);
  const kit: Kit = { ...drawn, open: opening(createStore), openUnavailable };
  const failed = (what: string) => (thrown: unknown) => {
    if (codeOf(thrown) === 'ERR_LAW_BROKEN') return thrown as Error;
    const lines = [what, ...indent(messageOf(thrown).split('\n'))];
    return broken(lawOf(test.name), kit, lines, [], thrown);
  };
  const outcome = await inTime(run, runLaw(test, kit)).catch(failed('The store failed:'));
  const closeAll = async () =>
    void (await Promise.all(opened.map(async (store) => store.close?.())));
  const closing = await inTime(run, closeAll()).catch(failed('Its close() failed:'));
  if (outcome instanceof Error) throw outcome;
  if (closing instanceof Error) throw closing;
  return outcome;
}

async function runLaw({ needs, run }: LawTest, kit: Kit): Promise<'held' | 'not there'> {
  if (needs !== undefined) {
    const isThere = typeof (await kit.open())[needs] === 'function';
    if (!isThere && kit.capabilities[needs] === true)
      throw unlike(`store.${needs}`, 'a method, as capabilities has it', 'none');
    if (!isThere) return 'not there';
  }
  return (await run(kit)) ?? 'held';
}

function inTime<T>(run: Run, work: Promise<T>): Promise<T> {
  const { limitMs } = run;
  return within(
    limitMs,
    () => work,
    () => {
      run.limitMs = LIMIT_AFTER_MS;
      return new Error(`It was not done within ${limitMs / 1_000} s`);
    },
  );
}

/** A store as if it had not the methods that are not to be tested. */
function without(store: StatusStore, capabilities: StoreCapabilities): StatusStore {
  const hidden: readonly PropertyKey[] = METHODS.filter((name) => capabilities[name] === false);
  if (hidden.length === 0) return store;
  return new Proxy(store, {
    get(of, name) {
      const value: unknown = hidden.includes(name) ? undefined : Reflect.get(of, name);
      return typeof value === 'function' ? (value.bind(of) as unknown) : value;
    },
  });
}

const A_FUNCTION = 'a function that returns a StatusStore';

const MAKES_STORE: Rule = {
  expected: A_FUNCTION,
  holds: (value) => typeof value === 'function',
};

const METHODS: readonly OptionalMethod[] = ['attempts', 'list', 'count', 'delete', 'prune'];
const MAY: Rule = { ...boolean(false), fallback: undefined };

const RULES = {
  createStore: MAKES_STORE,
  createUnavailableStore: MAKES_STORE,
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
  ...DRAWING,
};

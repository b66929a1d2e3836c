import { inspect, styleText } from 'node:util';
import { InvalidArgumentError, type Command } from 'commander';
import type { ConformanceTest } from 'bullmq-job-status/testing';
import { messageOf } from '../errors.ts';
import { loadStoreModule } from './store-module.ts';

interface VerifyFlags {
  readonly export?: string;
  readonly seed?: number;
  readonly runs: number;
  readonly throughBatcher?: true;
}

const NOTES = `
The module exports a function createStore, or a default one, that makes a store each time it is called; and, where
there are such, createUnavailableStore, for one whose database is out of reach, and capabilities.

Never run it on rows that you need: it asks to delete and to prune everything, which a right store refuses and a wrong
one does. Its own rows, in queues named kit-..., stay.
Exit code: 0 where every law holds, 1 where one is broken or could not be tested.

Examples:
  $ npx bullmq-job-status verify ./my-store.js
  $ npx bullmq-job-status verify ./my-store.js --seed 4711 --through-batcher`;

export function addVerify(program: Command): void {
  program
    .command('verify')
    .argument('<module>', 'path of the module that makes the store')
    .summary('say whether a store of your own keeps the law')
    .description(
      'Runs the conformance suite of bullmq-job-status/testing on a store of your own, and says which laws hold. What fails is shown with the shortest history that breaks it.',
    )
    .option('--export <name>', 'what makes the store (default: createStore, else default)')
    .option(
      '--seed <number>',
      'what all that is random is drawn from (default: random)',
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
    )
    .option('--runs <number>', 'how many random histories', wholeNumber(1, 100_000), 200)
    .option('--through-batcher', 'write to it as trackers do')
    .addHelpText('after', NOTES)
    .action(verify);
}

async function verify(path: string, flags: VerifyFlags): Promise<void> {
  // By its own name: the kit stays out of this file, which would double in weight.
  const { conformanceTests, throughBatcher } = await import('bullmq-job-status/testing');
  const { createStore, ...options } = await loadStoreModule(path, flags.export);
  const { seed = Math.floor(Math.random() * 2 ** 31), runs } = flags;
  const make = async () => {
    const store = await createStore();
    return flags.throughBatcher ? throughBatcher(store) : store;
  };
  const tests = conformanceTests({ ...options, createStore: make, seed, runs });
  const outcomes: Outcome[] = [];
  for (const law of new Set(tests.map((test) => test.law))) {
    const came: Outcome[] = [];
    for (const test of tests.filter((each) => each.law === law)) came.push(await outcomeOf(test));
    outcomes.push(...came);
    console.log([lineOf(law, came), ...failuresOf(came)].join('\n'));
  }
  console.log(verdict(outcomes, { ...flags, seed }));
  const isRight = outcomes.every(({ failure }) => failure === undefined);
  // What the store's module has opened, it may keep open; what was printed must be out before.
  process.stdout.write('', () => process.exit(isRight ? 0 : 1));
}

interface Outcome {
  readonly test: ConformanceTest;
  readonly held: boolean;
  readonly failure?: string;
}

async function outcomeOf(test: ConformanceTest): Promise<Outcome> {
  try {
    return { test, held: (await test.run()) === 'held' };
  } catch (error) {
    // Where the store threw, its author wants to know where.
    const { cause } = error as { cause?: unknown };
    const thrown = cause === undefined ? [] : [inspect(cause)];
    return { test, held: false, failure: [messageOf(error), ...thrown].join('\n') };
  }
}

/** In colours where somebody looks at them; a file or a pipe gets the text alone. */
const paint = (colour: 'red' | 'green', text: string) =>
  process.stdout.isTTY && process.stdout.hasColors() ? styleText(colour, text) : text;

function lineOf(law: string, came: readonly Outcome[]): string {
  const held = came.filter((each) => each.held).length;
  const failed = came.filter(({ failure }) => failure !== undefined).length;
  if (failed > 0) return paint('red', `✗ ${law.padEnd(12)}${failed} of ${came.length} broken`);
  if (held === 0) return `- ${law.padEnd(12)}the store has no method for it`;
  return `${paint('green', '✓')} ${law.padEnd(12)}${held}`;
}

/** How many tests are named of those that fail for one law. */
const MAX_NAMES = 5;

/** The first failure in full, of others the names: one mistake tends to break many tests in the same way. */
function failuresOf(came: readonly Outcome[]): string[] {
  const failed = came.filter(({ failure }) => failure !== undefined);
  const more = failed.length - MAX_NAMES;
  const lines = failed.slice(0, MAX_NAMES).map(({ test: { name }, failure = '' }, at) => {
    return at === 0 ? `${name}\n${indented(failure)}` : name;
  });
  return [...lines, ...(more > 0 ? [`… and ${more} more`] : [])].map(indented);
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}

function verdict(
  outcomes: readonly Outcome[],
  { seed, runs, throughBatcher }: VerifyFlags,
): string {
  const failed = outcomes.filter(({ failure }) => failure !== undefined).length;
  const tested = outcomes.filter(({ held, failure }) => held || failure !== undefined).length;
  if (failed === 0) return `Right: all ${tested} tests hold (seed ${seed})`;
  const same = `--seed ${seed} --runs ${runs}${throughBatcher ? ' --through-batcher' : ''}`;
  return `Not right: ${failed} of ${tested} tests fail. The same again: ${same}`;
}

function wholeNumber(least: number, greatest: number) {
  return (given: string) => {
    const value = /^\d+$/.test(given) ? Number(given) : Number.NaN;
    if (value >= least && value <= greatest) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${greatest}.`);
  };
}

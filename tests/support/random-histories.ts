import fc from 'fast-check';
import type { StatusUpdate } from '../../src/types.ts';
import { JobHistory } from './histories.ts';

/** What random tests draw from: the same for the same `SEED`, which a test that fails prints. */
export const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** Runs what draws from the seed; where it fails, the error says how to draw the same again. */
export async function tellingSeed(run: () => Promise<void>): Promise<void> {
  await run().catch((error: unknown) => {
    throw new Error(`Failed with SEED=${SEED}`, { cause: error });
  });
}

/** Text with all that quotes, escapes and encodings may stumble over, and some that looks like JSON. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({
    unit: fc.constantFrom('"', "'", '\\', '{', '}', '[', '$', '%', '\n', '\0', '\uD800'),
  }),
  fc.constantFrom(
    '',
    'null',
    'false',
    '0',
    '{}',
    '{"a": 1}',
    '"quoted"',
    String.raw`\u0041`,
    '1e999',
  ),
  fc.constantFrom(
    '9007199254740993',
    '184467440737095516160',
    '$1',
    '${x}',
    '日本語',
    '👩‍👩‍👧‍👦',
    '\u2028',
  ),
);

/**
 * Keys hold no backslash: once the V8 of Node 24 (13.6) has read `{"a":1,"\\":1}`, it reads `{"a":1,"\"":1}` as the
 * same, in any `JSON.parse`, a database client's too.
 */
const anyKey = anyText.map((text) => text.replaceAll('\\', '/'));

const anyNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, 0.1, -1.5, 1e21, 1e308, 5e-324, Number.MAX_VALUE, 2 ** 53, 2 ** 53 + 2),
);

/** Nested so deep that the snapshot may have to cut it. */
const deep = fc.tuple(fc.nat(110), fc.boolean()).map(([depth, inArrays]) => {
  let value: unknown = 'bottom';
  for (let at = 0; at < depth; at++) value = inArrays ? [value] : { in: value };
  return value;
});

/** A value as a job may hold it: any JSON, and some that is none. */
export const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(null, undefined, true, false, [], {}, [null], [[]]) },
  { weight: 4, arbitrary: anyText },
  { weight: 4, arbitrary: anyNumber },
  { weight: 2, arbitrary: fc.array(fc.oneof(anyText, anyNumber), { maxLength: 5 }) },
  { weight: 2, arbitrary: fc.dictionary(anyKey, fc.oneof(anyText, anyNumber), { maxKeys: 5 }) },
  { weight: 2, arbitrary: fc.anything({ key: anyKey, values: [anyText, anyNumber], maxKeys: 5 }) },
  { weight: 1, arbitrary: fc.bigInt() },
  { weight: 1, arbitrary: deep },
);

const anyPayload = fc.record({
  name: anyText,
  data: anyValue,
  metadata: fc.option(fc.dictionary(anyKey, anyValue, { maxKeys: 3 })),
});

/** Time that passes: often none, so that all sorts of readings are of one millisecond. */
const someMs = fc.oneof(fc.constantFrom(0, 1), fc.nat(50));

/** What may happen to a job at random, within what the law asks of the world. */
const step = fc.oneof(
  fc.record({ does: fc.constant('progress'), ms: someMs, value: anyValue }),
  fc.record({
    does: fc.constantFrom('fail', 'vanish'),
    ms: someMs,
    retryIn: fc.constantFrom(0, 0, 1, 5, 8_000),
    value: anyValue,
  }),
  fc.record({
    does: fc.constant('end'),
    ms: someMs,
    fails: fc.boolean(),
    value: anyValue,
    then: fc.constantFrom('retry', 'reset', 'again'),
    payload: anyPayload,
  }),
);

/** How far two hosts' clocks may lie apart, in ms: the law's limit. */
const MAX_SKEW = 2_500;

/**
 * Random histories: attempts on hosts of skewed clocks, stalls, delays, retries by hand, ids used
 * again, ties of all kinds, and values of all kinds.
 */
export const randomHistory: fc.Arbitrary<StatusUpdate[]> = fc
  .record({
    steps: fc.array(step, { minLength: 1, maxLength: 8 }),
    skews: fc.array(fc.integer({ min: -MAX_SKEW / 2, max: MAX_SKEW / 2 }), {
      minLength: 1,
      maxLength: 3,
    }),
    wait: fc.nat(3),
    payload: anyPayload,
  })
  .map(({ steps, skews, wait, payload }) => {
    const history = new JobHistory(undefined, payload);
    let starts = 0;
    const start = (ms: number) => history.start(ms, skews[starts++ % skews.length]);
    start(wait);
    for (const event of steps) {
      if ('fails' in event) {
        if (event.fails) history.fail(event.ms, undefined, event.value);
        else history.complete(event.ms, event.value);
        if (event.then === 'again') history.addAgain(event.ms + 1, event.payload);
        else if (event.then === 'retry') history.retryByHand(event.ms);
        else history.retryByHand(5_001 + MAX_SKEW, true);
        start(wait);
      } else if ('retryIn' in event) {
        if (event.does === 'fail') history.fail(event.ms, event.retryIn, event.value);
        else history.vanish(event.ms);
        start(event.retryIn);
      } else {
        history.progress(event.ms, event.value);
      }
    }
    return history.snapshots;
  });

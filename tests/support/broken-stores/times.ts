import type { BrokenStore } from './base.ts';
import { timesAs } from './shown.ts';

/* Times that are not what they were. */

/** As it stands on a clock on the wall, and no more. */
function wallClock(time: Date): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return `${date} ${clock}.${String(time.getMilliseconds()).padStart(3, '0')}`;
}

export const TIMES: readonly BrokenStore[] = [
  {
    mistake: 'seconds are kept for milliseconds',
    law: 'Time',
    shows: /At: expected .*, got .*:\d\d\.000Z/,
    shortest: 1,
    createStore: timesAs((time) => new Date(Math.floor(time.getTime() / 1_000) * 1_000)),
  },
  {
    mistake: 'seconds are kept, with fractions, as single-precision numbers',
    law: 'Time',
    shows: /(createdAt|updatedAt): expected/,
    shortest: 1,
    createStore: timesAs((time) => new Date(Math.fround(time.getTime() / 1_000) * 1_000)),
  },
  {
    mistake: 'times are kept as clocks on the wall have them',
    law: 'Time',
    by: 'the same in any time zone',
    shows: 'createdAt: expected',
    shortest: 1,
    createStore: timesAs((time) => new Date(wallClock(time))),
  },
  {
    mistake: 'times end in 2038',
    law: 'Time',
    shows: /updatedAt: expected .*, got 2038/,
    shortest: 1,
    createStore: timesAs((time) => new Date(Math.min(time.getTime(), 2 ** 31 * 1_000 - 1))),
  },
  {
    mistake: 'times are text',
    law: 'Time',
    shows: /createdAt: expected \d{4}-.*Z, got '\d{4}-.*Z'/,
    shortest: 1,
    createStore: timesAs((time) => time.toISOString() as never),
  },
  {
    mistake: 'times are numbers',
    law: 'Time',
    shows: /createdAt: expected \d{4}-.*Z, got \d+/,
    shortest: 1,
    createStore: timesAs((time) => time.getTime() as never),
  },
];

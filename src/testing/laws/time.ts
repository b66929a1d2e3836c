import { runInThisContext } from 'node:vm';
import fc from 'fast-check';
import type { StatusUpdate } from '../../types.ts';
import { JobHistory } from '../histories.ts';
import { alone, type Kit, type LawTest } from '../kit.ts';
import { holdRows, holdStepByStep, sideBySide } from '../telling.ts';

/** The last time at which a job may be added and still complete before the year 10000. */
const LAST = Date.parse('9999-12-31T23:59:59.994Z');

/** Where calendars, counters and clocks have their edges. */
const EDGES = [
  0,
  1,
  999,
  1_000,
  2 ** 31 * 1_000 - 1,
  2 ** 32 * 1_000,
  2 ** 43 + 1,
  LAST,
  // Leap days, a leap second, and the day that is not in 2100.
  ...['1972-02-29T23:59:59.999Z', '2000-02-29T00:00:00.001Z', '2016-12-31T23:59:59.999Z'],
  ...['2100-03-01T00:00:00.000Z', '9996-02-29T12:00:00.123Z'],
  // Clocks of the north and the south go forwards and back: an hour that is not, an hour that is twice.
  ...['2026-03-29T01:00:00.001Z', '2026-10-25T00:30:00.999Z', '2026-10-25T01:30:00.999Z'],
  ...['2026-03-08T10:30:00.007Z', '2026-11-01T08:30:00.007Z', '2026-11-01T09:30:00.007Z'],
  ...['2026-04-04T15:15:00.070Z', '2026-10-03T15:45:00.070Z'],
].map((time) => new Date(time).getTime());

/** A job added at any time, in whose row every time is another. */
function endedAt(ms: number): StatusUpdate[] {
  const [, completed] = new JobHistory().start().complete().snapshots as [
    StatusUpdate,
    StatusUpdate,
  ];
  const at = (passed: number) => new Date(ms + passed);
  const times = { createdAt: at(0), updatedAt: at(4), delayedUntil: at(1) };
  const raw = { firstProcessedOn: ms + 2, processedOn: ms + 3, finishedOn: ms + 5 };
  return [{ ...completed, ...times, ...raw, attemptEndedOn: ms + 5 }];
}

async function holdTimes(kit: Kit): Promise<void> {
  const random = fc.sample(fc.nat(LAST), { seed: kit.seed, numRuns: 40 });
  const jobs = sideBySide([...EDGES, ...random].map(endedAt));
  const store = await kit.open();
  await store.write(jobs.flat());
  await holdRows('Time', kit, store, jobs, 'all in one write');
}

/** Zones, and how far they are behind UTC in the first minute of 1970, in minutes. */
const ZONES = { 'America/Los_Angeles': 480, 'Australia/Lord_Howe': -600 };

/** The process's own environment: a runner may give tests a copy, which has no effect. */
const environment = runInThisContext('process.env') as NodeJS.ProcessEnv;

/**
 * Runs something while the process has another time zone: what passes through local time shows it there.
 *
 * @returns whether it has: threads can't change it
 */
async function inTimeZone(zone: keyof typeof ZONES, run: () => Promise<void>): Promise<boolean> {
  const before = environment['TZ'];
  environment['TZ'] = zone;
  try {
    if (new Date(0).getTimezoneOffset() !== ZONES[zone]) return false;
    await run();
    return true;
  } finally {
    if (before === undefined) delete environment['TZ'];
    else environment['TZ'] = before;
  }
}

export const time: readonly LawTest[] = [
  {
    name: 'Time: exact to the millisecond, from 1970 to 9999',
    run: (kit) => alone(() => holdTimes(kit)),
  },
  {
    name: 'Time: the same in any time zone, while clocks go forwards and back',
    run: (kit) =>
      alone(async () => {
        for (const zone of Object.keys(ZONES) as (keyof typeof ZONES)[])
          if (!(await inTimeZone(zone, () => holdTimes(kit)))) return 'not there';
        return undefined;
      }),
  },
  {
    name: 'Time: in order in every row, also where readings are of one millisecond or cross',
    async run(kit) {
      const histories = [
        new JobHistory().start(0).complete(0),
        new JobHistory().start(0).fail(0),
        new JobHistory().start(0, -1_200).complete(0),
        new JobHistory().start(0, 1_200).fail(0, 0).start(0, -1_200).complete(0),
        new JobHistory().start(0, -1_200).fail(0, 0).start(0, 1_200).fail(0),
        new JobHistory().look().cancel(0, 'u1', -1_200).look(),
      ];
      const orders = histories.flatMap(({ snapshots }) => [snapshots, snapshots.toReversed()]);
      await holdStepByStep('Time', kit, orders, orders.length);
    },
  },
  {
    name: 'Time: a start that nobody saw is inferred, until it is told',
    async run(kit) {
      const { snapshots } = new JobHistory().start(30).complete(30);
      const [started, completed] = snapshots as [StatusUpdate, StatusUpdate];
      const blind = { ...completed, processedOn: null, firstProcessedOn: null };
      await holdStepByStep('Time', kit, [[blind], [blind, started], [started, blind]], 3);
    },
  },
];

import { eachAtOnce } from '../../at-once.ts';
import type { JobKey, StatusUpdate } from '../../types.ts';
import { show } from '../differences.ts';
import { expectNothing } from '../failure.ts';
import { JobHistory } from '../histories.ts';
import { keyed, newQueue, type LawTest } from '../kit.ts';
import { holdRows } from '../telling.ts';

/** Ids, and ends of queues' names, of which each is another; an id may be any text. */
const NAMES = [
  ...[
    '1',
    '01',
    '1.0',
    ' 1',
    '1 ',
    '-1',
    '0',
    '',
    ' ',
    'a',
    'A',
    'á',
    'a\u0301',
    'Á',
    'ß',
    'ss',
    'I',
    'ı',
  ],
  ...[
    'a:b',
    'a::b',
    ':',
    'repeat:s1:1767225600000',
    'a,b',
    'a/b',
    '/',
    '../a',
    'a b',
    'a\tb',
    'a\nb',
  ],
  ...[
    '*',
    '%',
    '_',
    'a%',
    '?',
    '[a]',
    '{a}',
    '(a)',
    '$1',
    '@a',
    '#',
    '&',
    '\\',
    '"',
    '""',
    "'",
    "''",
  ],
  ...["'; drop table jobs; --", 'null', 'undefined', 'true', 'NaN', '__proto__', 'constructor'],
  ...[
    '9007199254740992',
    '9007199254740993',
    '1e3',
    '1000',
    '0x10',
    '日本',
    '😀',
    '😃',
    '\u2028',
    '\u200B',
  ],
  'long-'.repeat(30),
  `${'long-'.repeat(30)}er`,
];

/** A row for each key that says which it is of. */
function ofKeys(keys: readonly JobKey[]): StatusUpdate[][] {
  const { snapshots } = new JobHistory().start().complete();
  return keys.map((key, at) =>
    keyed(snapshots, key).map((each) => ({ ...each, name: `job ${at}`, result: at })),
  );
}

export const keys: readonly LawTest[] = [
  {
    name: 'Keys: jobs of one id in several queues are as many rows',
    async run(kit) {
      const store = await kit.open();
      const queue = newQueue();
      const queues = ['', ':', ' ', ':1', '-1', 'x', 'X'].map((end) => `${queue}${end}`);
      // One prefix or another, as the tracker writes it.
      const prefixed = [`p:${queue}`, `P:${queue}`, `{p}:${queue}`, `p:p:${queue}`];
      const told = ofKeys([...queues, ...prefixed].map((each) => ({ queue: each, jobId: '1' })));
      for (const history of told) await store.write(history);
      await holdRows('Keys', kit, store, told, 'all in one write');
    },
  },
  {
    name: 'Keys: those that read alike when their parts are joined are two',
    async run(kit) {
      const store = await kit.open();
      const queue = newQueue();
      const told = ofKeys([
        { queue, jobId: 'a:1' },
        { queue: `${queue}:a`, jobId: '1' },
        { queue, jobId: 'a/1' },
        { queue: `${queue}/a`, jobId: '1' },
        { queue, jobId: '11' },
        { queue: `${queue}1`, jobId: '1' },
        { queue: `${queue}11`, jobId: '' },
      ]);
      await store.write(told.flat());
      await holdRows('Keys', kit, store, told, 'all in one write');
    },
  },
  {
    name: 'Keys: ids of any characters, told apart by each of them',
    async run(kit) {
      const store = await kit.open();
      const queue = newQueue();
      const told = ofKeys(NAMES.map((jobId) => ({ queue, jobId })));
      await store.write(told.flat());
      await holdRows('Keys', kit, store, told, 'all in one write');
    },
  },
  {
    name: 'Keys: queues of any characters',
    async run(kit) {
      const store = await kit.open();
      const queue = newQueue();
      const told = ofKeys(NAMES.map((name) => ({ queue: `${queue}${name}`, jobId: '1' })));
      await store.write(told.flat());
      await holdRows('Keys', kit, store, told, 'all in one write');
    },
  },
  {
    name: 'Keys: a row that is not there is undefined',
    async run(kit) {
      const store = await kit.open();
      const queue = newQueue();
      await store.write(ofKeys([{ queue, jobId: '1' }]).flat());
      const others = ['', '2', '1 ', ' 1', '01', '*', '%', '_', ':1', 'constructor', '__proto__'];
      const wrong: string[] = [];
      await eachAtOnce(5, others, async (jobId) => {
        const row = await store.get({ queue, jobId });
        if (row !== undefined) wrong.push(`get of ${show({ queue, jobId })} gave ${show(row)}`);
      });
      expectNothing('Keys', kit, `With one row, of the id '1', in ${queue}`, wrong);
    },
  },
];

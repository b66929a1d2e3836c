import fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { saveMigration, versionAfter } from '../../src/cli/supabase-migrations.ts';

const now = new Date('2026-11-24T10:11:12.987Z');

describe('the version of a new migration', () => {
  test.each<[string, string[], string]>([
    ['the present second, in UTC', [], '20261124101112'],
    ['whatever came before', ['20261124101111_a.sql', '0001_init.sql'], '20261124101112'],
    ['what is no migration has no say', ['seed.sql', 'README.md', '.keep'], '20261124101112'],
    ['one second later where another has this one', ['20261124101112_a.sql'], '20261124101113'],
    [
      'after the last, however many there are',
      ['20261124101112_a.sql', '20261124101113_b.sql'],
      '20261124101114',
    ],
    ['after one in the future', ['20301231235959_a.sql'], '20310101000000'],
    ['in a leap year', ['20280228235959_a.sql'], '20280229000000'],
    ['after digits that are no date', ['20269999999999_a.sql'], '20340611044040'],
    ['after a month and a day that are none', ['20270000000000_a.sql'], '20270101000001'],
    ['after one named by its day alone', ['20261124_a.sql'], '20261128044040'],
    ['after one named to the millisecond', ['20261124101112345_a.sql'], '20261124101113'],
    ['after a folder', ['20261124101112_a'], '20261124101113'],
  ])('%s: %j', (_, entries, version) => {
    expect(versionAfter(entries, now)).toBe(version);
  });

  test('none sorts after the end of time: the file in the way is named', () => {
    expect(() => versionAfter(['0001_a.sql', '9999_b.sql'], now)).toThrow(
      'No timestamp sorts after supabase/migrations/9999_b.sql',
    );
  });

  test('it is a date, and greater than all that is there by name and by version', () => {
    const digits = fc.stringMatching(/^\d{1,20}$/).filter((each) => !/^9(?:9|$)/.test(each));
    fc.assert(
      fc.property(fc.array(digits), (versions) => {
        const entries = versions.map((each) => `${each}_a.sql`).toSorted();
        const version = versionAfter(entries, now);
        const [, date] = /^(\d{14})$/.exec(version) ?? [];
        const iso = date?.replace(/(....)(..)(..)(..)(..)(..)/, '$1-$2-$3T$4:$5:$6.000Z') ?? '';
        expect(new Date(iso).toISOString()).toBe(iso);
        for (const each of versions) expect(version > each).toBe(true);
        for (const each of entries) expect(`${version}_a.sql` > each).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

test('of many that are saved at once none takes the place of another', async () => {
  const project = mkdtempSync(join(tmpdir(), 'job-status-cli-'));
  const texts = Array.from({ length: 20 }, (_, at) => `select ${at};\n`);
  const never = { isSameTable: () => false, isEnough: () => false };
  const saved = await Promise.all(texts.map((text) => saveMigration(project, text, never)));
  expect(saved.map(({ path }) => readFileSync(path, 'utf8'))).toEqual(texts);
  rmSync(project, { recursive: true });
});

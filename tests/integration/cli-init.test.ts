import { migrationSql } from 'bullmq-job-status/migrations';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../src/migrations/version.ts';
import { cli, MAIN } from '../support/cli.ts';

/* `init`, as a process, in a project folder of its own. */

let project: string;
beforeEach(() => {
  project = realpathSync(mkdtempSync(join(tmpdir(), 'job-status-cli-')));
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

const migrations = () => join(project, 'supabase/migrations');
const files = () => readdirSync(migrations()).toSorted();
const read = (name: string) => readFileSync(join(migrations(), name), 'utf8');

/** `init --supabase`, which must go well; the file it names. */
async function init(...args: string[]): Promise<{ file: string; isNew: boolean }> {
  const { stdout, stderr, exitCode } = await cli(['init', '--supabase', ...args], { cwd: project });
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  expect(stdout).toMatch(/supabase db push.*\n.*supabase migration up/);
  const [, verb, file = ''] =
    /^(Wrote|Nothing to write:) supabase\/migrations\/(\S+)/.exec(stdout) ?? [];
  return { file, isNew: verb === 'Wrote' };
}

/** A file that is there before the command runs. */
function given(name: string, text: string): void {
  mkdirSync(migrations(), { recursive: true });
  writeFileSync(join(migrations(), name), text);
}

/** The whole SQL of a version that is no longer this package's. */
function sqlOfVersion(version: number): string {
  return readFileSync(
    new URL(`../support/schema-versions/${version}.sql`, import.meta.url),
    'utf8',
  );
}

const stamp = () => new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14);

describe('init --supabase', () => {
  test('writes the SQL to a file named by the second in UTC, wherever it is run', async () => {
    const before = stamp();
    const { stdout } = await cli(['init', '--supabase'], {
      cwd: project,
      env: { TZ: 'Pacific/Kiritimati' },
    });
    const [file = '', ...others] = files();
    expect(others).toEqual([]);
    expect(stdout.split('\n')[0]).toBe(`Wrote supabase/migrations/${file}`);
    const [, version = ''] = /^(\d{14})_bullmq_job_status\.sql$/.exec(file) ?? [];
    expect(version >= before && version <= stamp()).toBe(true);
    expect(read(file)).toBe(migrationSql());
  });

  test('writes nothing where the SQL is there already', async () => {
    const { file } = await init();
    expect(await init()).toEqual({ file, isNew: false });
    // Git may change the ends of lines, and people put in words and SQL of their own.
    writeFileSync(
      join(migrations(), file),
      `-- Ours.\n${read(file)}select 1;\n`.replaceAll('\n', '\r\n'),
    );
    expect(await init()).toEqual({ file, isNew: false });
    expect(files()).toEqual([file]);
  });

  test.each(Array.from({ length: SCHEMA_VERSION - 1 }, (_, at) => at + 1))(
    'writes a new file where the SQL is of version %i, and leaves the old one',
    async (version) => {
      const old = '20250101000000_bullmq_job_status.sql';
      const sql = sqlOfVersion(version);
      given(old, sql);
      const { file, isNew } = await init();
      expect(isNew).toBe(true);
      expect(files()).toEqual([old, file]);
      expect([read(old), read(file)]).toEqual([sql, migrationSql()]);
      expect(await init()).toEqual({ file, isNew: false });
    },
  );

  test.each([migrationSql(), sqlOfVersion(1)])(
    'looks at the newest file of a table: SQL that gave way to other SQL is written again',
    async (sql) => {
      given('20250101000000_bullmq_job_status.sql', migrationSql());
      given(
        '20250101000001_bullmq_job_status.sql',
        sql.replace('-- bullmq-job-status', '-- other'),
      );
      expect(await init()).toMatchObject({ isNew: true });
    },
  );

  test('never takes one table for another', async () => {
    const tables = [
      [],
      ['--table', 'job_status_2'],
      ['--table', 'status'],
      ['--schema', 'tracking'],
      ['--schema', "o'brien", '--table', 'quo"te\\d $migration$'],
    ];
    const first = [];
    for (const table of tables) first.push(await init(...table));
    expect(first.map(({ isNew }) => isNew)).toEqual(tables.map(() => true));
    for (const [at, table] of tables.entries()) {
      expect(await init(...table)).toEqual({ file: first[at]?.file, isNew: false });
    }
    expect(files()).toEqual(first.map(({ file }) => file));
  });

  test('--realtime is a change to be written, and its file is enough for later runs without', async () => {
    const plain = await init();
    const live = await init('--realtime');
    expect(live.isNew).toBe(true);
    expect(read(live.file)).toBe(migrationSql({ realtime: true }));
    for (const args of [['--realtime'], []]) {
      expect(await init(...args)).toEqual({ file: live.file, isNew: false });
    }
    expect(files()).toEqual([plain.file, live.file]);
  });

  test('sorts after all that is there, in the same second and in the future', async () => {
    given('20991231235959_future.sql', 'select 1;');
    const [a, b] = [await init(), await init('--table', 'b')];
    expect([a.file, b.file]).toEqual([
      '21000101000000_bullmq_job_status.sql',
      '21000101000001_bullmq_job_status.sql',
    ]);
    expect(read('20991231235959_future.sql')).toBe('select 1;');
  });

  test('finds the Supabase project from a folder within, as the CLI of Supabase does', async () => {
    given('../config.toml', '');
    mkdirSync(join(project, 'apps/api'), { recursive: true });
    const { stdout } = await cli(['init', '--supabase'], { cwd: join(project, 'apps/api') });
    expect(stdout).toContain(`Wrote ../../supabase/migrations/${files()[0]}\n`);
  });

  test('says in a line what keeps it from writing', async () => {
    writeFileSync(join(project, 'supabase'), '');
    const { stdout, stderr, exitCode } = await cli(['init', '--supabase'], { cwd: project });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(/^error: Can't save the migration: \w+: [^\n]+\n$/);
  });
});

describe('init --print', () => {
  test.each<[string[], Parameters<typeof migrationSql>[0]]>([
    [[], {}],
    [['--realtime'], { realtime: true }],
    [['--schema', 'My Schema', '--table=quo"te'], { schema: 'My Schema', table: 'quo"te' }],
  ])('prints the SQL alone: %j', async (args, options) => {
    expect(await cli(['init', '--print', ...args], { cwd: project })).toEqual({
      stdout: migrationSql(options),
      stderr: '',
      exitCode: 0,
    });
    expect(readdirSync(project)).toEqual([]);
  });

  test('a reader that goes away is no error', async () => {
    const child = spawn(process.execPath, [MAIN, 'init', '--print']);
    child.stdout.destroy();
    const errors: unknown[] = [];
    child.stderr.on('data', (data) => errors.push(`${data}`));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(errors).toEqual([]);
  });
});

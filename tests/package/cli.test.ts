import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, startRedis, type PostgresPart, type RedisPart } from '../parts/index.ts';
import { manifest, nodes, openWorkshop, ROOT, testedVersion, type Workshop } from './project.ts';

/* The command line as users get it: one file, with nothing else installed but what they bring. */

let workshop: Workshop;
let postgres: PostgresPart;
/** A project that has this package and no other, one that has pg too, and one that has all it takes. */
let alone: string;
let withPg: string;
let withBullMQ: string;
let redis: RedisPart;
let sql: string;
let databases = 0;

beforeAll(async () => {
  [workshop, postgres, redis] = await Promise.all([openWorkshop(), startPostgres(), startRedis()]);
  alone = await workshop.project('cli', [], { peers: false });
  const tested = (...names: string[]) => names.map((name) => `${name}@${testedVersion(name)}`);
  withPg = await workshop.project('cli-pg', tested('pg'), { peers: false });
  withBullMQ = await workshop.project('cli-bullmq', tested('pg', 'bullmq', 'ioredis'));
  const migrations = pathToFileURL(join(ROOT, 'dist/migrations.js')).href;
  const { migrationSql } = (await import(migrations)) as { migrationSql(): string };
  sql = migrationSql();
});
afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
  await workshop?.[Symbol.asyncDispose]();
});

const bin = (project: string) => join(project, 'node_modules/.bin/bullmq-job-status');
const environment = { NODE_OPTIONS: '', NODE_PATH: '', DATABASE_URL: undefined };

describe.each(nodes())('on $name', ({ path }) => {
  async function run(args: readonly string[], project: string, cwd = project) {
    const options = { cwd, env: environment, reject: false, timeout: 20_000 } as const;
    const { stdout, stderr, exitCode } = await execa(path, [bin(project), ...args], options);
    return { stdout, stderr, exitCode };
  }
  const said = (stdout: string) => ({ stdout, stderr: '', exitCode: 0 });

  test('npx bullmq-job-status init --print, in a project that has only this package', async () => {
    const { stdout, stderr } = await execa('npx', ['bullmq-job-status', 'init', '--print'], {
      cwd: alone,
      // npx runs the file by itself, on the first Node there is.
      env: {
        ...environment,
        PATH: `${dirname(path)}${delimiter}${process.env['PATH']}`,
        npm_config_loglevel: 'error',
      },
      stripFinalNewline: false,
      timeout: 60_000,
    });
    expect({ stdout, stderr }).toEqual({ stdout: sql, stderr: '' });
  });

  test('it says its version', async () => {
    expect(await run(['--version'], alone)).toEqual(said(manifest.version));
  });

  test('without pg it says what to install', async () => {
    const args = ['migrate', '--database-url', 'postgres://u@127.0.0.1:1/d'];
    expect(await run(args, alone)).toEqual({
      stdout: '',
      stderr: 'error: This command needs the package pg, which is not installed: npm install pg',
      exitCode: 1,
    });
  });

  test('it takes pg from the project that it is run in, wherever it lies itself', async () => {
    const url = await postgres.createDatabase(`cli_${++databases}`);
    const within = join(withPg, 'node_modules/pg/lib');
    for (const cwd of [withPg, within]) {
      const { stdout, stderr, exitCode } = await run(
        ['migrate', '--database-url', url],
        alone,
        cwd,
      );
      expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
      expect(stdout).toMatch(/^public\.job_status is at schema version \d+$/);
    }
    const { stdout } = await run(['check', '--database-url', url], withPg, tmpdir());
    expect(stdout).toContain('public.job_status is in order');
  });

  test('without BullMQ, reconcile says what to install', async () => {
    const url = await postgres.createDatabase(`cli_${++databases}`);
    const urls = ['--database-url', url, '--redis-url', redis.url];
    expect(await run(['reconcile', '--queue', 'exports', ...urls], withPg)).toEqual({
      stdout: '',
      stderr:
        'error: This command needs the package bullmq, which is not installed: npm install bullmq',
      exitCode: 1,
    });
  });

  test('it takes BullMQ, too, from the project that it is run in', async () => {
    const url = await postgres.createDatabase(`cli_${++databases}`);
    await run(['migrate', '--database-url', url], withBullMQ);
    const urls = ['--database-url', url, '--redis-url', redis.url];
    const args = ['reconcile', '--queue', `queue-${randomUUID()}`, ...urls];
    const { stdout, stderr, exitCode } = await run(args, alone, withBullMQ);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(stdout).toMatch(/^queue-[\w-]+: 0 checked, 0 repaired, 0 removed, 0 added/);
  });
});

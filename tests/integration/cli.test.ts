import { checkSchema, migrationSql } from 'bullmq-job-status/migrations';
import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { quoteIdentifier } from '../../src/migrations/names.ts';
import { SCHEMA_VERSION } from '../../src/migrations/version.ts';
import { runSql, startPostgres, type PostgresPart } from '../parts/index.ts';
import { cli, runAsSaid } from '../support/cli.ts';

/* `migrate` and `check`, as processes, on a real database. */

let postgres: PostgresPart;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

let url: string;
let databases = 0;
beforeEach(async () => {
  url = await postgres.createDatabase(`cli_${++databases}`);
});

/** A command on this test's database. */
const run = (...args: string[]) => cli(args, { env: { DATABASE_URL: url } });

const said = (stdout: string, exitCode = 0) => ({ stdout, stderr: '', exitCode });
const versionLine = `public.job_status is at schema version ${SCHEMA_VERSION}\n`;
const orderLine = `public.job_status is in order, at schema version ${SCHEMA_VERSION}\n`;

async function differences(names?: { schema?: string; table?: string }) {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await checkSchema(client, names)).differences;
  } finally {
    await client.end();
  }
}

describe('migrate', () => {
  test('sets the table up, and says at which version it is; again it changes nothing', async () => {
    expect(await run('migrate')).toEqual(said(versionLine));
    expect(await differences()).toEqual([]);
    expect(await run('migrate')).toEqual(said(versionLine));
  });

  test('--database-url comes before DATABASE_URL', async () => {
    const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere' };
    expect(await cli(['migrate', '--database-url', url], { env })).toEqual(said(versionLine));
    expect(await differences()).toEqual([]);
  });

  test('another schema and table', async () => {
    const flags = ['--schema', "o'brien", '--table', 'quo"te'];
    const title = '"o\'brien"."quo""te"';
    expect(await run('migrate', ...flags)).toEqual(
      said(`${title} is at schema version ${SCHEMA_VERSION}\n`),
    );
    expect(await differences({ schema: "o'brien", table: 'quo"te' })).toEqual([]);
    expect((await run('check', ...flags)).stdout).toContain(`${title} is in order`);
    expect((await run('check')).exitCode).toBe(1);
  });

  test('--realtime adds the table to the publication', async () => {
    await runSql(url, 'create publication supabase_realtime');
    const published = () => runSql(url, 'select tablename from pg_publication_tables');
    await run('migrate');
    expect(await published()).toEqual([]);
    expect(await run('migrate', '--realtime')).toEqual(said(versionLine));
    expect(await published()).toEqual([{ tablename: 'job_status' }]);
  });

  test('a newer version is left as it is', async () => {
    await run('migrate');
    await runSql(url, "comment on table job_status is 'bullmq-job-status, schema version 99'");
    const { stdout, exitCode } = await run('migrate');
    expect(stdout).toBe(
      `public.job_status is at schema version 99, newer than this package's ${SCHEMA_VERSION}: left as it is\n`,
    );
    expect(exitCode).toBe(0);
  });

  test('where it may not check itself it says so, and is no failure', async () => {
    await runSql(
      url,
      `do $$ begin create role limited login; exception when duplicate_object then null; end $$;
      create schema authorization limited; revoke temp on database ${quoteIdentifier(new URL(url).pathname.slice(1))} from public`,
    );
    const limited = new URL(url);
    limited.username = 'limited';
    const args = ['migrate', '--schema', 'limited', '--database-url', limited.href];
    expect(await cli(args)).toEqual(
      said(
        'limited.job_status was migrated, and not checked: this role may not create temporary tables\n',
      ),
    );
    expect(await differences({ schema: 'limited' })).toEqual([]);
  });

  test('what depends on a column that an upgrade changes is named', async () => {
    await runSql(
      url,
      readFileSync(new URL('../support/schema-versions/1.sql', import.meta.url), 'utf8'),
    );
    await runSql(url, 'create view recent as select queue, created_at from job_status');
    const { stderr, exitCode } = await run('migrate');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('view recent depends on column "created_at"');
    await runSql(url, 'drop view recent');
    expect(await run('migrate')).toEqual(said(versionLine));
  });

  test('what it does not mend is told, and is a failure', async () => {
    await run('migrate');
    await runSql(url, 'alter table job_status drop column worker');
    const { stderr, exitCode } = await run('migrate');
    expect(stderr).toMatch(/^error: public\.job_status is at schema version .* not in order/);
    expect(stderr).toContain('\ncolumn worker is missing\n');
    expect(exitCode).toBe(1);
  });

  test("a table that is somebody else's is left alone, with advice", async () => {
    await runSql(url, 'create table job_status (id text)');
    const { stdout, stderr, exitCode } = await run('migrate');
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(/^error: "public"."job_status" is there already.*\nChoose another name/);
  });
});

describe('check', () => {
  test('one line where all is in order', async () => {
    await run('migrate');
    expect(await run('check')).toEqual(said(orderLine));
  });

  test.each<[string, string, string[]]>([
    ['no table', 'select 1', ['there is no table "public"."job_status"']],
    [
      'an earlier version',
      readFileSync(new URL('../support/schema-versions/1.sql', import.meta.url), 'utf8'),
      [`"public"."job_status" is at schema version 1, this package's is ${SCHEMA_VERSION}`],
    ],
    [
      "rights of the server's own role",
      `do $$ begin create role service_role; exception when duplicate_object then null; end $$;
        ${migrationSql()}; revoke delete on job_status from service_role`,
      ['service_role may not delete "public"."job_status"'],
    ],
    [
      'functions that were changed',
      `${migrationSql()}; create or replace function job_status_write(updates jsonb, schema_version integer)
        returns integer language sql security invoker set search_path = '' as 'select 0';
      drop function job_status_prune`,
      [
        'function "public"."job_status_write"(jsonb, integer) has another body',
        'function "public"."job_status_prune"(timestamptz, text[], integer) is missing',
      ],
    ],
  ])('%s: each difference on a line, and the command that mends it', async (_, sql, lines) => {
    await runSql(url, sql);
    const { stdout, stderr, exitCode } = await run('check');
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 1 });
    const [title, ...rest] = stdout.trimEnd().split('\n');
    expect(title).toBe('public.job_status is not in order:');
    expect(rest.slice(0, lines.length)).toEqual(lines);
    const [command = '', ...others] = rest.slice(lines.length);
    expect(command).toBe('Run: npx bullmq-job-status migrate');
    const supabase =
      "Or, with Supabase's CLI: npx bullmq-job-status init --supabase && supabase db push";
    expect(others).toEqual(sql.includes('schema_version integer') ? [] : [supabase]);
    await runAsSaid(command.replace('Run: ', ''), { env: { DATABASE_URL: url } });
    expect(await run('check')).toEqual(said(orderLine));
  });

  test('the command names the table, and where the database was given', async () => {
    const flags = ['--schema', "o'brien", '--table', '-x'];
    const { stdout } = await cli(['check', ...flags, '--database-url', url]);
    const [, command = ''] = /^Run, with the same --database-url: (.*)$/m.exec(stdout) ?? [];
    expect(stdout).not.toContain(url);
    await runAsSaid(command, { env: { DATABASE_URL: url } });
    expect((await run('check', ...flags)).exitCode).toBe(0);
  });

  test.each<[string, string]>([
    [
      "'what our jobs do'; drop index job_status_queue_idx",
      'Put it back by hand: npx bullmq-job-status init --print shows how each is made',
    ],
    ["'bullmq-job-status, schema version 99'", 'Run: npm install bullmq-job-status@latest'],
    [
      'null; drop function job_status_write(jsonb), job_status_write(jsonb, integer)',
      'Choose another name for the table',
    ],
  ])('what no migration mends gets other advice: comment %s', async (comment, advice) => {
    await run('migrate');
    await runSql(url, `comment on table job_status is ${comment}`);
    const { stdout, exitCode } = await run('check');
    expect(exitCode).toBe(1);
    expect(stdout).toContain(`\n${advice}`);
    expect(stdout).not.toContain('migrate');
  });
});

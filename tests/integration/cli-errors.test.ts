import getPort from 'get-port';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runSql, startPostgres, type PostgresPart } from '../parts/index.ts';
import { findPostgres } from '../parts/postgres-binaries.ts';
import { cli } from '../support/cli.ts';

/* What goes wrong is told in a line or a few, says what to do, and never shows a password. */

const folder = mkdtempSync(join(tmpdir(), 'job-status-cli-'));
let postgres: PostgresPart;

beforeAll(async () => {
  // The parts' own servers let anybody in; this one asks a role for its password.
  const hbaFile = join(folder, 'pg_hba.conf');
  const rules = ['host all locked all scram-sha-256', 'host all all all trust'];
  writeFileSync(hbaFile, `${rules.join('\n')}\n`);
  chmodSync(folder, 0o755);
  // By its binaries, so that it is a server of our own whatever DATABASE_URL says.
  const { bin } = await findPostgres();
  postgres = await startPostgres({ bin, settings: { hba_file: hbaFile } });
  await runSql(
    postgres.connectionString,
    "create role locked login password 's3cret'; create role guest login",
  );
});
afterAll(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true });
});

/** The server's address, as somebody. */
function as(user: string, database = 'postgres'): string {
  return `postgres://${user}@127.0.0.1:${postgres.port}/${database}`;
}

/** The error of a command that must fail. */
async function errorOf(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { stdout, stderr, exitCode } = await cli(args, { env });
  expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
  expect(stderr).toMatch(/^error: [^\n]+\n(?:[^\n]+\n){0,2}$/);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stderr).not.toMatch(/s3cret|cret|postgres:\/\/(?!user:password@)/);
  return stderr;
}

describe('usage', () => {
  test.each<[string, string]>([
    ['init', 'say where the SQL is to go: --supabase or --print'],
    ['init --print --supabase', "'--print' cannot be used with option '--supabase'"],
    ['init --print --tabel x', "unknown option '--tabel'\n(Did you mean --table?)"],
    ['init --print x', 'too many arguments'],
    ['init --print --table', "'--table <name>' argument missing"],
    ['init --print --table=', 'Expected --table to be a name of 1 to 46 bytes, got ""'],
    [`init --print --schema ${'x'.repeat(64)}`, 'Expected --schema to be a name of 1 to 63 bytes'],
    [`migrate --table ${'é'.repeat(24)}`, 'Expected --table to be a name of 1 to 46 bytes'],
    ['inti', "unknown command 'inti'\n(Did you mean init?)"],
    ['migrate', 'No database given: set DATABASE_URL, or add --database-url <url>'],
    ['check', 'No database given'],
    ['check --database-url=', '--database-url is empty'],
    ['migrate --database-url mysql://root:s3cret@h/d', '--database-url is no connection string'],
    // Where people misspell, what they quote may be the URL.
    ['migrate --database=postgres://u:s3cret@h/d', "unknown option '--database=…'"],
    ['postgres://u:s3cret@h/d', "unknown command '…'"],
    ['check postgres://u:s3cret@h/d', 'too many arguments'],
  ])('%s', async (args, message) => {
    expect(await errorOf(args.split(' '))).toContain(message);
  });

  test('no command at all: what there is, as an error', async () => {
    const { stdout, stderr, exitCode } = await cli([]);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(/^Usage: bullmq-job-status/);
  });
});

describe('help', () => {
  test.each([
    ['--help'],
    ['-h'],
    ['init --help'],
    ['migrate -h'],
    ['check --help'],
    ['help check'],
  ])('%s', async (args) => {
    const { stdout, stderr, exitCode } = await cli(args.split(' '));
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    const [command] = /\b(?:init|migrate|check)\b/.exec(args) ?? [];
    expect(stdout).toContain(`Usage: bullmq-job-status ${command ?? '[options] [command]'}`);
    if (command !== undefined) {
      expect(stdout).toMatch(new RegExp(`Examples?:\n.*npx bullmq-job-status ${command}`));
    }
  });
});

describe('a database that', () => {
  test.each(['migrate', 'check'])('is not there: %s', async (command) => {
    const port = await getPort();
    const message = await errorOf([command], {
      DATABASE_URL: `postgres://user:s3cret@127.0.0.1:${port}/d`,
    });
    expect(message).toBe(
      `error: Can't connect to the database at 127.0.0.1:${port}: nothing listens there (ECONNREFUSED). Check that it runs, and host, user, password and database in DATABASE_URL\n`,
    );
  });

  test('has no address', async () => {
    const url = 'postgres://user:s3cret@nowhere.invalid/d';
    const message = await errorOf(['check', '--database-url', url]);
    expect(message).toMatch(/at nowhere\.invalid: .*\((?:ENOTFOUND|EAI_AGAIN)\)/);
  });

  test('refuses the password', async () => {
    await cli(['migrate'], { env: { DATABASE_URL: as('postgres') } });
    const { exitCode } = await cli(['check'], { env: { DATABASE_URL: as('locked:s3cret') } });
    expect(exitCode).toBe(0);
    const message = await errorOf(['check'], { DATABASE_URL: as('locked:s3cret!') });
    expect(message).toContain('password authentication failed for user "locked". Check');
    expect(message).toContain('password and database in DATABASE_URL');
    expect(await errorOf(['check'], { DATABASE_URL: as('locked') })).toContain('password must be');
  });

  test('does not exist on the server', async () => {
    const message = await errorOf(['migrate'], { DATABASE_URL: as('postgres', 'nowhere') });
    expect(message).toContain('database "nowhere" does not exist');
  });

  test('gives no right to create the table', async () => {
    const args = ['migrate', '--table', 'other', '--database-url', as('guest')];
    const message = 'permission denied for schema public: run it as the role that owns the table';
    expect(await errorOf(args)).toContain(message);
  });

  test('has no publication for --realtime', async () => {
    const message = await errorOf(['migrate', '--realtime'], { DATABASE_URL: as('postgres') });
    expect(message).toContain('there is no publication supabase_realtime');
  });

  test.each([
    'user:s3cret#cret@host/d',
    'user:s3cret/cret@host/d',
    'user:12?cret@host/d',
    'user:1@cret/2@host/d',
    'user:s3cret@host:port/d',
  ])('has an address of which part of the password would be taken for a host: %s', async (rest) => {
    const message = await errorOf(['check'], { DATABASE_URL: `postgres://${rest}` });
    expect(message).toMatch(/DATABASE_URL is no connection string.*# as %23|Invalid URL/);
  });

  test('an empty --database-url is not: DATABASE_URL does not stand in for it', async () => {
    const message = await errorOf(['check', '--database-url='], { DATABASE_URL: as('postgres') });
    expect(message).toBe('error: --database-url is empty\n');
  });

  // The second is an address that no system connects to, each with another code.
  test.each(['user.invalid:54321', '255.255.255.255:54321'])(
    'has an address without a user, which may be one with a password: %s',
    async (address) => {
      const message = await errorOf(['check'], { DATABASE_URL: `postgres://${address}` });
      expect(message).toMatch(/^error: Can't connect to the database: .*[A-Z_]{5,}/);
      expect(message).not.toMatch(/54321|255/);
    },
  );

  test.each<[string, (backend: string, connection: Socket) => unknown, string]>([
    [
      'ends the session',
      (pid) => runSql(as('postgres'), `select pg_terminate_backend(${pid})`),
      'terminating connection',
    ],
    ['is no longer reached', (_, connection) => connection.destroy(), 'Connection terminated'],
  ])('%s in between', async (_, breakOff, message) => {
    const holder = new Client({ connectionString: as('postgres') });
    await holder.connect();
    await holder.query("select pg_advisory_lock(hashtext('bullmq-job-status'))");
    const connections: Socket[] = [];
    const proxy = createServer((connection) => {
      connections.push(connection);
      const server = connect(postgres.port, '127.0.0.1');
      for (const each of [server, connection]) each.on('error', () => {});
      connection.pipe(server).pipe(connection);
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    const { port } = proxy.address() as AddressInfo;
    const failed = errorOf(['migrate'], { DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/` });
    const waiting = `select pid from pg_stat_activity
      where application_name = 'bullmq-job-status' and wait_event = 'advisory'`;
    let pid: string | undefined;
    while (pid === undefined) pid = (await holder.query(waiting)).rows[0]?.pid;
    await breakOff(pid, connections[0] as Socket);
    expect(await failed).toContain(message);
    await holder.end();
    proxy.close();
  });
});

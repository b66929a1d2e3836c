import { migrationSql } from 'bullmq-job-status/migrations';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { quoteLiteral, type TableOptions } from '../../src/migrations/names.ts';
import type { Row } from '../../src/stores/row.ts';
import {
  runSql,
  startPostgres,
  startSupabaseApi,
  type PostgresPart,
  type SupabasePart,
} from '../parts/index.ts';
import {
  callSql,
  endedJob,
  guessOf,
  SECRET,
  tryApi,
  trySql,
  type Outcome,
} from '../support/attempts.ts';
import {
  catalogue,
  madeSince,
  type Made,
  type Relation,
  type Routine,
} from '../support/catalogue.ts';
import { sqlAs, type Claims } from '../support/people.ts';

/* Nobody but the server reads or writes anything: every table and function that the migration makes. */

const SUB = '11111111-1111-4111-8111-111111111111';
const ANON: Claims = { role: 'anon' };
const STRANGER: Claims = { role: 'authenticated', sub: SUB };

/** What gives everything in a schema to everybody, as Supabase does for `public`. */
const grantAll = (schema: string) => `
  grant usage on schema "${schema}" to anon, authenticated, service_role;
  grant all on all tables in schema "${schema}" to anon, authenticated, service_role;
  grant all on all routines in schema "${schema}" to anon, authenticated, service_role;
  grant all on all functions in schema "${schema}" to anon, authenticated, service_role;`;

describe.each<[string, Required<TableOptions> & { schema: string; table: string }]>([
  ['the usual names', { schema: 'public', table: 'job_status' }],
  // Plain ones, for the tests' API serves no others.
  ['names of your own', { schema: 'tracking', table: 'jobs' }],
])('%s', (_, names) => {
  let postgres: PostgresPart;
  let api: SupabasePart;
  let made: Made;
  let functionsOfTriggers: readonly Routine[];
  let rows: ReadonlyMap<string, Row>;

  beforeAll(async () => {
    // A stand-in of our own, for its database must be in reach.
    for (const name of ['DATABASE_URL', 'SUPABASE_URL']) vi.stubEnv(name, undefined);
    postgres = await startPostgres();
    const { connectionString } = postgres;
    api = await startSupabaseApi({
      connectionString,
      schemas: ['public', names.schema],
      // The default privileges that Supabase has in `public`, here in any schema.
      sql: `create schema if not exists "${names.schema}";
        alter default privileges in schema "${names.schema}" grant all on tables to anon, authenticated, service_role;
        alter default privileges in schema "${names.schema}" grant all on functions to anon, authenticated, service_role;
        grant usage on schema "${names.schema}" to anon, authenticated, service_role;`,
    });
    const before = await catalogue(connectionString);
    await runSql(connectionString, migrationSql(names));
    const all = madeSince(before, await catalogue(connectionString));
    functionsOfTriggers = all.routines.filter(({ isOfTrigger }) => isOfTrigger);
    made = { ...all, routines: all.routines.filter(({ isOfTrigger }) => !isOfTrigger) };
    const write = `"${names.schema}"."${names.table}_write"`;
    await runSql(
      connectionString,
      `select ${write}(${quoteLiteral(JSON.stringify(endedJob('theirs', SECRET)))})`,
    );
    await api.reloadSchema();
    rows = await dump();
  });

  afterAll(async () => {
    await api?.stop();
    await postgres?.stop();
    vi.unstubAllEnvs();
  });

  /** Every row of every table, as its owner sees them. */
  async function dump(): Promise<Map<string, Row>> {
    const all = new Map<string, Row>();
    for (const { sql } of made.relations) {
      const [row] = await runSql(
        postgres.connectionString,
        `select jsonb_agg(to_jsonb(t) order by t::text) as rows from ${sql} t`,
      );
      all.set(sql, row as Row);
    }
    return all;
  }

  /** A row that is there, as it might be written by who knows its key, without what Postgres generates. */
  function rowOf({ sql, columns }: Relation): Row {
    const [row = {}] = (rows.get(sql)?.['rows'] ?? []) as Row[];
    return guessOf(Object.fromEntries(columns.map((column) => [column, row[column]])));
  }

  /** Runs every attempt of everybody, and holds that nothing was read and nothing written. */
  async function attempts(): Promise<{ people: Outcome[]; badTokens: Outcome[] }> {
    const expired = { sub: SUB, exp: Math.floor(Date.now() / 1_000) - 60 };
    const badTokens = [
      api.signedInToken({ sub: SUB }, 'a guess'),
      api.signedInToken({ role: 'service_role' }, 'a guess'),
      api.signedInToken(expired),
      api.signedInToken({ ...expired, role: 'service_role' }),
    ];
    const people = [
      ...(await tryApi(api, undefined, made, rowOf)),
      ...(await tryApi(api, api.signedInToken({ sub: SUB }), made, rowOf)),
      ...(await trySql(postgres.connectionString, ANON, made, rowOf)),
      ...(await trySql(postgres.connectionString, STRANGER, made, rowOf)),
    ];
    const refused: Outcome[] = [];
    for (const token of badTokens) refused.push(...(await tryApi(api, token, made, rowOf)));
    for (const outcome of [...people, ...refused]) {
      expect(outcome).toMatchObject({ gave: false });
      expect(outcome.said).not.toContain(SECRET);
    }
    expect(await dump()).toEqual(rows);
    return { people, badTokens: refused };
  }

  test('the migration has made two tables with a row in each, and functions', () => {
    const tables = made.relations.map(({ name }) => name);
    expect(tables).toEqual([names.table, `${names.table}_attempts`]);
    expect(functionsOfTriggers.map(({ name }) => name)).toContain(`${names.table}_attempts_keep`);
    for (const each of rows.values()) expect(JSON.stringify(each)).toContain(SECRET);
    expect(made.routines.map(({ name }) => name)).toContain(`${names.table}_write`);
  });

  test("the server's own role may do it all: what follows is not tried on something that can't work", async () => {
    const { connectionString } = postgres;
    for (const { sql } of made.relations) {
      const { count } = await sqlAs(
        connectionString,
        { role: 'service_role' },
        `select * from ${sql}`,
      );
      expect(count).toBeGreaterThan(0);
    }
    const client = new Client({ connectionString });
    await client.connect();
    for (const routine of made.routines) {
      await client.query('begin; set local role service_role');
      const { rows: answers } = await client.query<Row>(callSql(routine));
      // Each that may change rows changed one.
      if (routine.isVolatile) expect(answers).toEqual([{ answer: 1 }]);
      await client.query('rollback');
    }
    await client.end();
  });

  test("with Supabase's default privileges in force when it ran, every request is refused", async () => {
    const { people, badTokens } = await attempts();
    for (const outcome of people) expect(outcome).toMatchObject({ code: '42501' });
    for (const outcome of badTokens) {
      expect(outcome.code).toMatch(/^PGRST30[13]$/);
    }
  });

  test('nobody but the owner and the server has any right to any of it', async () => {
    const { connectionString } = postgres;
    const grantees = await runSql(
      connectionString,
      [
        ...made.relations.map(
          ({ sql }) =>
            `select grantee from pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) where oid = ${quoteLiteral(sql)}::regclass`,
        ),
        ...[...made.routines, ...functionsOfTriggers].map(
          ({ signature }) =>
            `select grantee from pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) where oid = ${quoteLiteral(signature)}::regprocedure`,
        ),
      ]
        .map((select) => `select distinct grantee::regrole::text as name from (${select}) a`)
        .join(' union ')
        .concat(' order by 1'),
    );
    expect(grantees.map(({ name }) => name)).toEqual(['postgres', 'service_role']);
  });

  test('functions run with the rights of who calls them, and a search_path of their own', () => {
    for (const routine of [...made.routines, ...functionsOfTriggers]) {
      const { signature, isSecurityDefiner, settings } = routine;
      expect({ signature, isSecurityDefiner, settings }).toEqual({
        signature,
        isSecurityDefiner: false,
        settings: expect.arrayContaining([expect.stringMatching(/^search_path=/)]),
      });
    }
  });

  test('no schema, function, operator or temporary table of others changes what they do', async () => {
    const { connectionString } = postgres;
    const routines = [...made.routines, ...functionsOfTriggers];
    await runSql(connectionString, await evilSchema(connectionString, routines));
    // A row goes on to an attempt, and its triggers keep the last.
    const moveOn = `update "${names.schema}"."${names.table}" set attempt = 3 where job_id operator(pg_catalog.=) 'theirs'`;
    const client = new Client({ connectionString });
    await client.connect();
    const outcomes: unknown[] = [];
    for (const hostile of [
      '',
      `${temporaryTables(made)} create domain pg_temp.timestamptz as pg_catalog.date; set local search_path = evil, pg_temp, pg_catalog, public;`,
    ]) {
      await client.query(`begin; ${hostile} set local role service_role`);
      if (hostile !== '') {
        // Outside of them it does.
        await client.query('savepoint before');
        await expect(client.query('select 1::bigint = 2::bigint')).rejects.toThrow('evil');
        await client.query('rollback to before');
      }
      for (const call of [...made.routines.map(callSql), moveOn]) {
        const { rows: answers } = await client.query<Row>(call);
        outcomes.push({ hostile: hostile !== '', call, answers });
      }
      await client.query('reset role; set local search_path = pg_catalog');
      for (const { sql } of made.relations) {
        const { rows: left } = await client.query<Row>(
          `select to_jsonb(t) as row from ${sql} t order by t::text`,
        );
        outcomes.push({ hostile: hostile !== '', sql, left });
      }
      await client.query('rollback');
    }
    await client.end();
    const of = (hostile: boolean) =>
      outcomes
        .filter((outcome) => (outcome as Row)['hostile'] === hostile)
        .map((outcome) => ({ ...(outcome as Row), hostile: null }));
    expect(of(true)).toEqual(of(false));
    expect(JSON.stringify(of(true))).toContain('forced');
  });

  test('with everything granted to everybody afterwards, row level security still lets nothing through', async () => {
    await runSql(
      postgres.connectionString,
      `create schema if not exists "${names.schema}"; ${grantAll(names.schema)}`,
    );
    await api.reloadSchema();
    const { people, badTokens } = await attempts();
    // What adds a row is refused; what looks for rows finds none; and neither tells whether a key is there.
    for (const { attempt, code } of people) {
      const adds = /insert|upsert|_write/.test(attempt);
      expect({ attempt, code }).toEqual({ attempt, code: adds ? '42501' : undefined });
    }
    for (const outcome of badTokens) expect(outcome.code).toMatch(/^PGRST30[13]$/);
  });
});

/** Temporary tables of the same names as the migration's. */
function temporaryTables(made: Made): string {
  return made.relations
    .map(({ name, sql }) => `create temporary table "${name}" (like ${sql}) on commit drop;`)
    .join(' ');
}

/**
 * A schema with a namesake of every built-in function that the migration's functions name, and of the
 * operators on the types they compute with; each raises an error.
 */
async function evilSchema(connectionString: string, routines: readonly Routine[]): Promise<string> {
  const words = new Set(routines.flatMap(({ source }) => source.match(/\w+/g) ?? []));
  const evil = "language plpgsql as 'begin raise exception ''evil''; end'";
  const functions = await runSql(
    connectionString,
    `select format('create function evil.%I(%s) returns %s ${evil.replaceAll("'", "''")};', proname, pg_get_function_identity_arguments(oid),
        pg_get_function_result(oid)) as sql
      from pg_proc where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and provariadic = 0
        and proname = any(array[${[...words].map(quoteLiteral).join(', ')}])
        and pg_get_function_result(oid) !~ 'internal|any|trigger|cstring|record' and pg_get_function_identity_arguments(oid) !~ 'internal|any|cstring|OUT '`,
  );
  const operators = await runSql(
    connectionString,
    `select format('create function evil.operator_%s(%s, %s) returns %s ${evil.replaceAll("'", "''")};
        create operator evil.%s (leftarg = %2$s, rightarg = %3$s, function = evil.operator_%1$s);', oid,
        oprleft::regtype, oprright::regtype, oprresult::regtype, oprname) as sql
      from pg_operator where oprnamespace = 'pg_catalog'::regnamespace
        and oprname in ('=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/', '%', '||')
        and array[oprleft, oprright] <@ array['text', 'bigint', 'integer', 'timestamptz', 'interval', 'jsonb', 'boolean', 'double precision']::regtype[]::oid[]`,
  );
  expect(functions.length).toBeGreaterThan(0);
  expect(operators.length).toBeGreaterThan(50);
  return [
    'create schema evil; grant usage on schema evil to public;',
    ...[...functions, ...operators].map(({ sql }) => sql),
  ].join('\n');
}

import { functionsOf } from './functions.ts';
import { quoteLiteral, tableNames, type TableNames, type TableOptions } from './names.ts';
import { installedVersion, STRANGERS } from './script.ts';
import { STEPS } from './steps/index.ts';
import { SCHEMA_VERSION } from './version.ts';

/** What a database holds, against what this package needs. */
export interface SchemaReport {
  /** Version of the database's objects: 0 where there is no table, `null` where the table is not ours. */
  readonly installed: number | null;
  /** Version that this package needs. */
  readonly current: number;
  /** Each thing that is not as this package makes it, in words; empty where all is in order. */
  readonly differences: readonly string[];
}

/** Names of things, and how each is made. */
type Description = Readonly<Record<string, string>>;

interface Found {
  readonly installed: number | null;
  readonly expected: Description;
  readonly actual: Description;
  readonly functions: Readonly<Record<string, { body: string; isAsMade: boolean } | null>>;
  readonly rights: readonly string[];
}

/**
 * Holds a database's objects against those that this package makes, down to each column, constraint,
 * index, function and right. What you added beside them (columns, indexes, policies, the right to
 * read) is no difference. Nothing is changed: what Postgres would make of the SQL is learnt from a
 * temporary table, gone when this resolves.
 *
 * @param client a `pg.Pool` or `pg.Client` of a role that may make temporary tables
 * @throws {InvalidArgumentError} as `migrationSql`; else what the client rejects with
 */
export async function checkSchema(
  client: { query(text: string): Promise<unknown> },
  options?: TableOptions,
): Promise<SchemaReport> {
  const names = tableNames(options);
  const found = readRow(await client.query(surveySql(names)));
  const { installed } = found;
  const differences =
    installed === SCHEMA_VERSION ? compare(found, names) : [versionGap(found, names)];
  return { installed, current: SCHEMA_VERSION, differences };
}

function versionGap({ installed }: Found, { table, qualify }: TableNames): string {
  const name = qualify(table);
  if (installed === 0) return `there is no table ${name}`;
  if (installed === null) return `table ${name} is not bullmq-job-status's`;
  return `${name} is at schema version ${installed}, this package's is ${SCHEMA_VERSION}`;
}

function compare({ expected, actual, functions, rights }: Found, names: TableNames): string[] {
  const differences = Object.entries(expected).flatMap(([thing, definition]) => {
    const is = actual[thing];
    if (is === definition) return [];
    return [is === undefined ? `${thing} is missing` : `${thing} is ${is}, not ${definition}`];
  });
  for (const { signature, body } of functionsOf(names)) {
    const is = functions[signature];
    const thing = `function ${signature}`;
    if (is === null || is === undefined) differences.push(`${thing} is missing`);
    // Tools may save the SQL with line ends of their own.
    else if (is.body.replaceAll('\r\n', '\n') !== body)
      differences.push(`${thing} has another body`);
    else if (!is.isAsMade)
      differences.push(
        `${thing} is not volatile, security invoker and of search_path pg_catalog, pg_temp`,
      );
  }
  return [...differences, ...rights];
}

/**
 * One text, so one transaction: the temporary table is there in no other, and what was found is carried
 * past its end in a setting, for of many statements some clients give the last one's rows alone.
 */
function surveySql(names: TableNames): string {
  // Whatever is made in this schema is temporary.
  const temporary = tableNames({ schema: 'pg_temp', table: names.table });
  const shadow = temporary.qualify(names.table);
  const table = names.qualify(names.table);
  return `${STEPS.map((step) => step(temporary)).join('\n')}
alter table ${shadow} enable row level security;
select pg_catalog.set_config('bullmq_job_status.found', pg_catalog.jsonb_build_object(
  'installed', ${installedVersion(names)},
  'expected', ${describe(shadow)},
  'actual', ${describe(table)},
  'functions', ${describeFunctions(names)},
  'rights', ${describeRights(names)}
)::text, true);
drop table ${shadow};
select pg_catalog.current_setting('bullmq_job_status.found') as found;`;
}

/** SQL for everything that makes up a table, each under a name that no other has. */
function describe(table: string): string {
  const oid = `pg_catalog.to_regclass(${quoteLiteral(table)})`;
  return `(
    select coalesce(pg_catalog.jsonb_object_agg(thing, definition), '{}') from (
      select 'column ' || a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
        || case when a.attcollation <> t.typcollation then ' collate ' || a.attcollation::pg_catalog.regcollation else '' end
        || case when a.attnotnull then ' not null' else '' end
        || coalesce(case a.attgenerated when 's' then ' generated ' else ' default ' end || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_type t on t.oid = a.atttypid
      left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = ${oid} and a.attnum > 0 and not a.attisdropped
      union all
      select 'constraint ' || c.conname, pg_catalog.pg_get_constraintdef(c.oid)
      from pg_catalog.pg_constraint c where c.conrelid = ${oid} and c.contype = 'c'
      union all
      select 'index ' || r.relname, pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^.* USING', 'using')
        || case when i.indisvalid then '' else ' (invalid)' end || case when i.indisprimary then ' (primary key)' else '' end
      from pg_catalog.pg_index i join pg_catalog.pg_class r on r.oid = i.indexrelid where i.indrelid = ${oid}
      union all
      select 'row level security', case when c.relforcerowsecurity then 'forced' when c.relrowsecurity then 'on' else 'off' end
      from pg_catalog.pg_class c where c.oid = ${oid}
    ) as things (thing, definition)
  )`;
}

function describeFunctions(names: TableNames): string {
  const functions = functionsOf(names).map(
    ({ signature }) => `${quoteLiteral(signature)}, (
      select pg_catalog.jsonb_build_object('body', p.prosrc, 'isAsMade',
        not p.prosecdef and p.provolatile = 'v' and not p.proisstrict
        and coalesce(p.proconfig = array['search_path=pg_catalog, pg_temp'], false))
      from pg_catalog.pg_proc p where p.oid = pg_catalog.to_regprocedure(${quoteLiteral(signature)})
    )`,
  );
  return `pg_catalog.jsonb_build_object(${functions.join(', ')})`;
}

/** SQL for what the API's roles may do and should not, or should and may not, in words. */
function describeRights(names: TableNames): string {
  const table = quoteLiteral(names.qualify(names.table));
  const functions = `pg_catalog.unnest(array[${functionsOf(names)
    .map(({ signature }) => quoteLiteral(signature))
    .join(', ')}])`;
  const strangers = STRANGERS.map(quoteLiteral).join(', ');
  return `(
    select coalesce(pg_catalog.jsonb_agg(said.what order by said.what), '[]') from (
      select pg_catalog.format('%s may write %s', r.rolname, ${table}) from pg_catalog.pg_roles r
      where r.rolname in (${strangers}) and (
        pg_catalog.has_table_privilege(r.oid, pg_catalog.to_regclass(${table}), 'insert, update, delete, truncate')
        or pg_catalog.has_any_column_privilege(r.oid, pg_catalog.to_regclass(${table}), 'insert, update'))
      union all
      select pg_catalog.format('%s may call %s', r.rolname, f.signature)
      from pg_catalog.pg_roles r, ${functions} f(signature)
      where r.rolname in (${strangers})
        and pg_catalog.has_function_privilege(r.oid, pg_catalog.to_regprocedure(f.signature), 'execute')
      union all
      select pg_catalog.format('service_role may not %s %s', may.what, ${table})
      from pg_catalog.pg_roles r, pg_catalog.unnest(array['select', 'insert', 'update', 'delete']) may(what)
      where r.rolname = 'service_role'
        and not pg_catalog.has_table_privilege(r.oid, pg_catalog.to_regclass(${table}), may.what)
      union all
      select pg_catalog.format('service_role may not call %s', f.signature)
      from pg_catalog.pg_roles r, ${functions} f(signature)
      where r.rolname = 'service_role'
        and not pg_catalog.has_function_privilege(r.oid, pg_catalog.to_regprocedure(f.signature), 'execute')
    ) as said (what)
  )`;
}

/** The last statement's row, of a client that gives the results of all, or of the last one alone. */
function readRow(results: unknown): Found {
  const last = [results].flat().at(-1) as { rows: [{ found: string }] };
  return JSON.parse(last.rows[0].found) as Found;
}

import { functionsOf, triggerFunctionsOf } from './functions.ts';
import { quoteLiteral, tableNames, type TableNames } from './names.ts';
import { installedVersion, STRANGERS } from './script.ts';
import { STEPS } from './steps/index.ts';
import { createTrigger, triggersOf } from './triggers.ts';

/** Names of things, and how each is made. */
type Description = Readonly<Record<string, string>>;

/** What a database holds. */
export interface Survey {
  readonly installed: number | null;
  /** What the steps make. */
  readonly expected: Description;
  readonly actual: Description;
  readonly functions: Readonly<Record<string, { body: string; isAsMade: boolean } | null>>;
  readonly rights: readonly string[];
}

/**
 * One text, so one transaction: the temporary table is there in no other, and what was found is carried
 * past its end in a setting, for of many statements some clients give the last one's rows alone.
 */
export function surveySql(names: TableNames): string {
  // Whatever is made in this schema is temporary.
  const temporary = tableNames({ schema: 'pg_temp', table: names.table });
  const shadows = [names.attemptsTable, names.table].map(temporary.qualify);
  const triggers = triggersOf(temporary);
  const functions = triggers.map(({ name }) => `${temporary.qualify(name)}()`);
  return `${STEPS.map((step) => step(temporary)).join('\n')}
alter table ${shadows[1]} enable row level security;
${functions.map((each) => `create function ${each} returns trigger language plpgsql as 'begin return null; end';`).join('\n')}
${triggers.map((each) => createTrigger(each, temporary)).join('\n')}
select pg_catalog.set_config('bullmq_job_status.found', pg_catalog.jsonb_build_object(
  'installed', ${installedVersion(names)},
  'expected', ${describe(temporary)},
  'actual', ${describe(names)},
  'functions', ${describeFunctions(names)},
  'rights', ${describeRights(names)}
)::text, true);
drop table ${shadows.join(', ')};
drop function ${functions.join(', ')};
select pg_catalog.current_setting('bullmq_job_status.found') as found;`;
}

/** SQL for everything that makes up the tables, each under a name that no other has. */
function describe({ table, attemptsTable, qualify }: TableNames): string {
  const row = oidOf(qualify(table));
  return `(${describeTable(row, '', row)} || ${describeTable(oidOf(qualify(attemptsTable)), ` of ${attemptsTable}`, row)})`;
}

const oidOf = (table: string) => `pg_catalog.to_regclass(${quoteLiteral(table)})`;

/** What of a trigger's definition names neither itself, nor its table, nor its function; for `regexp_replace`. */
const WITHOUT_NAMES = [
  '^.*? (BEFORE|AFTER) (.*?) ON .*? FOR EACH (.*) EXECUTE FUNCTION .*$',
  String.raw`\1 \2 FOR EACH \3`,
]
  .map(quoteLiteral)
  .join(', ');

/** @param ending of the things' names; @param row the table that others refer to, whatever its name */
function describeTable(oid: string, ending: string, row: string): string {
  const anonymous = (text: string, before: string) =>
    `pg_catalog.replace(${text}, '${before} ' || ${row}::text, '${before} the table')`;
  return `(
    select coalesce(pg_catalog.jsonb_object_agg(thing || ${quoteLiteral(ending)}, definition), '{}') from (
      select 'column ' || a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
        || case when a.attcollation <> t.typcollation then ' collate ' || a.attcollation::pg_catalog.regcollation else '' end
        || case when a.attnotnull then ' not null' else '' end
        || coalesce(case a.attgenerated when 's' then ' generated ' else ' default ' end || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_type t on t.oid = a.atttypid
      left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = ${oid} and a.attnum > 0 and not a.attisdropped
      union all
      select 'constraint ' || c.conname, ${anonymous('pg_catalog.pg_get_constraintdef(c.oid)', 'REFERENCES')}
      from pg_catalog.pg_constraint c where c.conrelid = ${oid} and c.contype in ('c', 'f')
      union all
      select 'index ' || r.relname, pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^.* USING', 'using')
        || case when i.indisvalid then '' else ' (invalid)' end || case when i.indisprimary then ' (primary key)' else '' end
      from pg_catalog.pg_index i join pg_catalog.pg_class r on r.oid = i.indexrelid where i.indrelid = ${oid}
      union all
      select 'trigger ' || g.tgname, pg_catalog.regexp_replace(pg_catalog.pg_get_triggerdef(g.oid), ${WITHOUT_NAMES})
        || ' ' || p.proname || case g.tgenabled when 'O' then '' else ' (disabled)' end
      from pg_catalog.pg_trigger g join pg_catalog.pg_proc p on p.oid = g.tgfoid where g.tgrelid = ${oid} and not g.tgisinternal
      union all
      select 'policy ' || p.polname, p.polcmd::text || case when p.polpermissive then ' to ' else ' restrictive, to ' end || p.polroles::text
        || coalesce(' using ' || ${anonymous('pg_catalog.pg_get_expr(p.polqual, p.polrelid)', 'FROM')}, '')
        || coalesce(' with check ' || ${anonymous('pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)', 'FROM')}, '')
      from pg_catalog.pg_policy p where p.polrelid = ${oid}
      union all
      select 'row level security', case when c.relforcerowsecurity then 'forced' when c.relrowsecurity then 'on' else 'off' end
      from pg_catalog.pg_class c where c.oid = ${oid}
    ) as things (thing, definition)
  )`;
}

function describeFunctions(names: TableNames): string {
  const all = [...functionsOf(names), ...triggerFunctionsOf(names)];
  const functions = all.map(
    ({ signature, isStable }) => `${quoteLiteral(signature)}, (
      select pg_catalog.jsonb_build_object('body', p.prosrc, 'isAsMade',
        not p.prosecdef and p.provolatile = '${isStable ? 's' : 'v'}' and not p.proisstrict
        and coalesce(p.proconfig = array['search_path=pg_catalog, pg_temp'], false))
      from pg_catalog.pg_proc p where p.oid = pg_catalog.to_regprocedure(${quoteLiteral(signature)})
    )`,
  );
  return `pg_catalog.jsonb_build_object(${functions.join(', ')})`;
}

/** SQL for what the API's roles may do and should not, or should and may not, in words. */
function describeRights(names: TableNames): string {
  const { table, attemptsTable, qualify } = names;
  const list = (texts: readonly string[]) =>
    `pg_catalog.unnest(array[${texts.map(quoteLiteral).join(', ')}])`;
  const tables = list([table, attemptsTable].map(qualify));
  const signatures = functionsOf(names).map(({ signature }) => signature);
  const functions = list(signatures);
  const all = list([...signatures, ...triggerFunctionsOf(names).map(({ signature }) => signature)]);
  const strangers = STRANGERS.map(quoteLiteral).join(', ');
  return `(
    select coalesce(pg_catalog.jsonb_agg(said.what order by said.what), '[]') from (
      select pg_catalog.format('%s may write %s', r.rolname, t.name) from pg_catalog.pg_roles r, ${tables} t(name)
      where r.rolname in (${strangers}) and (
        pg_catalog.has_table_privilege(r.oid, pg_catalog.to_regclass(t.name), 'insert, update, delete, truncate')
        or pg_catalog.has_any_column_privilege(r.oid, pg_catalog.to_regclass(t.name), 'insert, update'))
      union all
      select pg_catalog.format('%s may call %s', r.rolname, f.signature)
      from pg_catalog.pg_roles r, ${all} f(signature)
      where r.rolname in (${strangers})
        and pg_catalog.has_function_privilege(r.oid, pg_catalog.to_regprocedure(f.signature), 'execute')
      union all
      select pg_catalog.format('service_role may not %s %s', may.what, t.name)
      from pg_catalog.pg_roles r, ${tables} t(name), ${list(['select', 'insert', 'update', 'delete'])} may(what)
      where r.rolname = 'service_role'
        and not pg_catalog.has_table_privilege(r.oid, pg_catalog.to_regclass(t.name), may.what)
      union all
      select pg_catalog.format('service_role may not call %s', f.signature)
      from pg_catalog.pg_roles r, ${functions} f(signature)
      where r.rolname = 'service_role'
        and not pg_catalog.has_function_privilege(r.oid, pg_catalog.to_regprocedure(f.signature), 'execute')
    ) as said (what)
  )`;
}

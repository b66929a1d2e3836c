import { boolean } from '../validate.ts';
import { functionsOf, triggerFunctionsOf, type SqlFunction } from './functions.ts';
import {
  dollarTag,
  quoteIdentifier,
  quoteLiteral,
  resolveNames,
  type TableNames,
  type TableOptions,
} from './names.ts';
import { STEPS } from './steps/index.ts';
import { createTrigger, triggersOf, type SqlTrigger } from './triggers.ts';
import { SCHEMA_VERSION } from './version.ts';

export interface MigrationOptions extends TableOptions {
  /**
   * Whether to add the table to `supabase_realtime`, the publication from which Supabase's Realtime
   * sends changes. No later run takes it out again.
   *
   * @default false
   */
  readonly realtime?: boolean | undefined;
}

/** The roles of Supabase's API for requests of anybody, and of users who are signed in. */
export const STRANGERS = ['anon', 'authenticated'] as const;

/**
 * The SQL of everything the Postgres and Supabase stores need: tables, constraints, indexes, functions,
 * triggers, and who may use them. It sets a database up, or brings it from any earlier version to this one, all or
 * nothing. It may be run again, and by many at once: where all is there already it locks nothing that a
 * query waits for, and leaves rights that you have granted since. For Supabase,
 * `npx bullmq-job-status init --supabase` saves it in `supabase/migrations`.
 *
 * @throws {InvalidArgumentError} where a name is empty, too long, or holds `U+0000`, or an option is unknown
 */
export function migrationSql(options?: MigrationOptions): string {
  const { names, rest } = resolveNames(options, { realtime: boolean(false) });
  const tag = dollarTag(names, 'migration');
  const schema = quoteIdentifier(names.schema);
  const table = names.qualify(names.table);
  const functions = functionsOf(names);
  const tables = [table, names.qualify(names.attemptsTable)].join(', ');

  return `-- bullmq-job-status, schema version ${SCHEMA_VERSION}. One statement: all of it happens, or nothing.
do ${tag}
declare
  installed integer;
  has_changed boolean;
  is_new boolean;
  role text;
begin
  -- Any number of processes may run this at once: each waits for the one before it.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('bullmq-job-status'));

  if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
    raise feature_not_supported using
      message = 'this must run in a read committed transaction, to see what others did while it waited for them',
      hint = 'Begin with: begin isolation level read committed. Or set default_transaction_isolation for its role or connection.';
  end if;
  installed := ${installedVersion(names)};
  if installed is null then
    raise duplicate_table using
      message = ${quoteLiteral(`${table} is there already, and is not bullmq-job-status's`)},
      hint = 'Choose another name for the table, or see https://github.com/bullmq-job-status/bullmq-job-status/blob/main/docs/existing-table.md';
  elsif installed > ${SCHEMA_VERSION} then
    raise notice '% is at schema version %, newer than ${SCHEMA_VERSION}: left as it is', ${quoteLiteral(table)}, installed;
    return;
  end if;

  has_changed := installed < ${SCHEMA_VERSION};

  -- Asked for first, since \`create schema\` wants its right even where there is nothing to create.
  if pg_catalog.to_regnamespace(${quoteLiteral(schema)}) is null then
    create schema ${schema};
  end if;

${STEPS.map((step, at) => sqlOfStep(at + 1, step(names), names)).join('\n')}
${[...functions, ...triggerFunctionsOf(names)].map((each) => sqlOfFunction(each, names)).join('\n')}
${triggersOf(names)
  .map((each) => sqlOfTrigger(each, names))
  .join('\n')}
${sqlOfInheritedRights(functions, names)}
  if exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
    grant usage on schema ${schema} to service_role;
    grant select, insert, update, delete on table ${tables} to service_role;
    grant execute on function ${functions.map(({ signature }) => signature).join(', ')} to service_role;
  end if;
${rest['realtime'] === true ? sqlOfRealtime(names) : ''}
  -- Tells PostgREST, which Supabase's API is, to look at the schema again.
  if has_changed then
    perform pg_catalog.pg_notify('pgrst', 'reload schema');
  end if;
end
${tag};
`;
}

/** The version of what is there: 0 where there is no table, null where it is not ours. */
export function installedVersion({ table, writeFunction, qualify }: TableNames): string {
  const relation = `pg_catalog.to_regclass(${quoteLiteral(qualify(table))})`;
  const write = (types: string) =>
    `pg_catalog.to_regprocedure(${quoteLiteral(`${qualify(writeFunction)}(${types})`)})`;
  // Of several: tools let people describe their tables anew, and the SQL of the first version, run after
  // this, marks again what it knew.
  return `case when ${relation} is null then 0 else greatest(
    ${versionOf(relation, 'pg_class')}, ${versionOf(write('jsonb'), 'pg_proc')}, ${versionOf(write('jsonb, integer'), 'pg_proc')}
  ) end`;
}

function versionOf(oid: string, catalog: string): string {
  return `substring(pg_catalog.obj_description(${oid}, '${catalog}') from '${markOf('([0-9]{1,9})')}')::integer`;
}

/** The comment by which an object is known as ours, and of which version. */
function markOf(version: number | string): string {
  return `bullmq-job-status, schema version ${version}`;
}

function sqlOfStep(version: number, sql: string, names: TableNames): string {
  const table = names.qualify(names.table);
  const withRights = {
    1: `\n    alter table ${table} enable row level security;\n${revoke('table', table)}`,
    3: `\n${revoke('table', names.qualify(names.attemptsTable))}`,
  }[version];
  return `  if installed < ${version} then
${sql}${withRights ?? ''}
    comment on table ${table} is '${markOf(version)}';
  end if;
`;
}

function sqlOfFunction(
  { signature, declaration, returns, isStable, body }: SqlFunction,
  names: TableNames,
): string {
  const tag = dollarTag(names, 'function');
  const volatility = isStable ? 'stable' : 'volatile';
  return `  is_new := pg_catalog.to_regprocedure(${quoteLiteral(signature)}) is null;
  create or replace function ${declaration} returns ${returns}
  language plpgsql ${volatility} security invoker set search_path = pg_catalog, pg_temp as ${tag}${body}${tag};
  comment on function ${signature} is '${markOf(SCHEMA_VERSION)}';
  if is_new then
    has_changed := true;
${revoke('function', signature)}
  end if;
`;
}

/** It takes a lock, so it is made only where it is missing. */
function sqlOfTrigger(trigger: SqlTrigger, names: TableNames): string {
  return `  if not exists (
    select from pg_catalog.pg_trigger
    where tgrelid = pg_catalog.to_regclass(${quoteLiteral(names.qualify(trigger.table))}) and tgname = ${quoteLiteral(trigger.name)}
  ) then
    ${createTrigger(trigger, names)}
  end if;
`;
}

/** Whoever could call the function of an earlier version, and so write, may call and write what is new. */
function sqlOfInheritedRights(functions: readonly SqlFunction[], names: TableNames): string {
  const write = names.qualify(names.writeFunction);
  const before = ['jsonb', 'jsonb, integer'].map(
    (types) => `pg_catalog.to_regprocedure(${quoteLiteral(`${write}(${types})`)})`,
  );
  const all = functions.map(({ signature }) => signature).join(', ');
  const attempts = names.qualify(names.attemptsTable);
  return `  for role in
    select distinct r.rolname from pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a, pg_catalog.pg_roles r
    where installed between 1 and ${SCHEMA_VERSION - 1} and p.oid in (${before.join(', ')})
      and r.oid = a.grantee and r.rolname not in (${STRANGERS.map(quoteLiteral).join(', ')})
  loop
    execute pg_catalog.format('grant execute on function %s to %I', ${quoteLiteral(all)}, role);
    execute pg_catalog.format('grant select, insert, update, delete on table %s to %I', ${quoteLiteral(attempts)}, role);
  end loop;
`;
}

/**
 * Takes every right from everybody but the owner: rows are for others by rights and policies of your own.
 * From the API's roles by name, for Supabase grants them all that is made in a schema of its own.
 */
function revoke(kind: 'table' | 'function', name: string): string {
  return `    revoke all on ${kind} ${name} from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (${[...STRANGERS, 'service_role'].map(quoteLiteral).join(', ')}) loop
      execute pg_catalog.format('revoke all on ${kind} %s from %I', ${quoteLiteral(name)}, role);
    end loop;`;
}

function sqlOfRealtime({ schema, table, qualify }: TableNames): string {
  return `
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    raise undefined_object using message = 'there is no publication supabase_realtime',
      hint = 'It belongs to Supabase: on a Postgres of your own leave out the option realtime.';
  end if;
  if not exists (
    select from pg_catalog.pg_publication_tables
    where pubname = 'supabase_realtime' and schemaname = ${quoteLiteral(schema)} and tablename = ${quoteLiteral(table)}
  ) then
    alter publication supabase_realtime add table ${qualify(table)};
  end if;
`;
}

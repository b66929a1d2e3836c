import { quoteIdentifier } from '../../src/migrations/names.ts';
import { runSql } from '../parts/index.ts';

/* What a migration has made, read off the database's catalogue: a new table or function is found by itself. */

export interface Relation {
  readonly schema: string;
  readonly name: string;
  /** Quoted, with its schema. */
  readonly sql: string;
  /** The columns that may be written. */
  readonly columns: readonly string[];
  /** The columns of its primary key. */
  readonly key: readonly string[];
}

export interface Routine {
  readonly schema: string;
  readonly name: string;
  /** As `regprocedure` prints it: the name with its argument types. */
  readonly signature: string;
  /** The arguments that a caller must give. */
  readonly args: readonly { readonly name: string; readonly type: string }[];
  readonly isSecurityDefiner: boolean;
  /** Its own settings, such as `search_path=""`. */
  readonly settings: readonly string[];
  /** Whether it may change rows. */
  readonly isVolatile: boolean;
  /** Whether a trigger alone can call it. */
  readonly isOfTrigger: boolean;
  readonly source: string;
}

export interface Made {
  readonly relations: readonly Relation[];
  readonly routines: readonly Routine[];
}

const OURS = "n.nspname not in ('information_schema', 'auth') and n.nspname !~ '^pg_'";

/** Everything outside the system's own schemas. */
export async function catalogue(connectionString: string): Promise<Made> {
  const relations = await runSql(
    connectionString,
    `select n.nspname as schema, c.relname as name, array(
        select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 and attgenerated = '' order by attnum
      ) as columns, array(
        select attname::text from pg_index join pg_attribute on attrelid = indrelid and attnum = any (indkey)
        where indrelid = c.oid and indisprimary order by attnum
      ) as key
      from pg_class c join pg_namespace n on n.oid = relnamespace
      where relkind in ('r', 'p', 'v', 'm', 'f', 'S') and ${OURS} order by 1, 2`,
  );
  const routines = await runSql(
    connectionString,
    `select n.nspname as schema, proname as name, p.oid::regprocedure::text as signature, prosecdef as "isSecurityDefiner",
        coalesce(proconfig, '{}') as settings, provolatile = 'v' as "isVolatile", prorettype = 'trigger'::regtype as "isOfTrigger", prosrc as source, (
          select coalesce(json_agg(json_build_object('name', proargnames[at], 'type', format_type(proargtypes[at - 1], null)) order by at), '[]')
          from generate_series(1, pronargs - pronargdefaults) at
        ) as args
      from pg_proc p join pg_namespace n on n.oid = pronamespace where ${OURS} order by 3`,
  );
  return {
    relations: relations.map((row) => ({ ...(row as unknown as Relation), sql: qualified(row) })),
    routines: routines as unknown as Routine[],
  };
}

/** What is there now and was not before. */
export function madeSince(before: Made, after: Made): Made {
  const relations = new Set(before.relations.map(({ sql }) => sql));
  const routines = new Set(before.routines.map(({ signature }) => signature));
  return {
    relations: after.relations.filter(({ sql }) => !relations.has(sql)),
    routines: after.routines.filter(({ signature }) => !routines.has(signature)),
  };
}

function qualified({ schema, name }: Record<string, unknown>): string {
  return `${quoteIdentifier(String(schema))}.${quoteIdentifier(String(name))}`;
}

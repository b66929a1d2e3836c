import { functionsOf, triggerFunctionsOf } from './functions.ts';
import { tableNames, type TableNames, type TableOptions } from './names.ts';
import { surveySql, type Survey } from './survey.ts';
import { SCHEMA_VERSION } from './version.ts';

/** What a database holds, against what this package sets up. */
export interface SchemaReport {
  /** Version of the database's objects: 0 where there is no table, `null` where the table is not ours. */
  readonly installed: number | null;
  /** Version that this package sets up. */
  readonly current: number;
  /** Each thing that is not as this package makes it, in words; empty where all is in order. */
  readonly differences: readonly string[];
}

/**
 * Holds a database's objects against those that this package makes, down to each column, constraint,
 * index, function, trigger and right. What you added beside them (columns, indexes, policies, the right to
 * read) is no difference. Nothing is changed: what Postgres would make of the SQL is learnt from
 * temporary tables, gone when this resolves.
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

function versionGap({ installed }: Survey, { table, qualify }: TableNames): string {
  const name = qualify(table);
  if (installed === 0) return `there is no table ${name}`;
  if (installed === null) return `table ${name} is not bullmq-job-status's`;
  return `${name} is at schema version ${installed}, this package's is ${SCHEMA_VERSION}`;
}

function compare({ expected, actual, functions, rights }: Survey, names: TableNames): string[] {
  const differences = Object.entries(expected).flatMap(([thing, definition]) => {
    const is = actual[thing];
    if (is === definition) return [];
    return [is === undefined ? `${thing} is missing` : `${thing} is ${is}, not ${definition}`];
  });
  for (const { signature, isStable, body } of [
    ...functionsOf(names),
    ...triggerFunctionsOf(names),
  ]) {
    const is = functions[signature];
    const thing = `function ${signature}`;
    if (is === null || is === undefined) differences.push(`${thing} is missing`);
    // Tools may save the SQL with line ends of their own.
    else if (is.body.replaceAll('\r\n', '\n') !== body)
      differences.push(`${thing} has another body`);
    else if (!is.isAsMade)
      differences.push(
        `${thing} is not ${isStable ? 'stable' : 'volatile'}, security invoker and of search_path pg_catalog, pg_temp`,
      );
  }
  return [...differences, ...rights];
}

/** The last statement's row, of a client that gives the results of all, or of the last one alone. */
function readRow(results: unknown): Survey {
  const last = [results].flat().at(-1) as { rows: [{ found: string }] };
  return JSON.parse(last.rows[0].found) as Survey;
}

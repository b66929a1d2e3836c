import { mergeUpdates } from '../../src/merge.ts';
import { quoteIdentifier, quoteLiteral } from '../../src/migrations/names.ts';
import { WRITABLE_VERSION } from '../../src/migrations/version.ts';
import { toRecord, type Row } from '../../src/stores/row.ts';
import { JOB_STATES, type StatusUpdate } from '../../src/types.ts';
import type { Made, Relation, Routine } from './catalogue.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { browserClient, sqlAs, type Claims } from './people.ts';
import type { SupabasePart } from '../parts/index.ts';

/* Everything somebody might try on the tables and functions of a migration. */

/** Stands in the values of the rows that nobody may read, and in nothing that is tried. */
export const SECRET = 'sesame';

/** What an attempt came to: the error's code, or all that came back. */
export interface Outcome {
  readonly attempt: string;
  readonly code: string | undefined;
  /** The answer in JSON, errors and all. */
  readonly said: string;
  /** Whether it gave, or says it touched, anything. */
  readonly gave: boolean;
}

/** A job that has ended in its second attempt, with a value in all that is of it, as a batch of the write function. */
export function endedJob(jobId: string, value: string): Row[] {
  const history = new JobHistory({ queue: 'q', id: jobId }).start().fail(1, 0).start().complete();
  const values = { data: { value }, result: { value }, progress: { value }, metadata: { value } };
  const of = { worker: value, error: { name: value, message: value } };
  const updates = history.snapshots.map((each): StatusUpdate => ({
    ...each,
    name: value,
    ...of,
    ...values,
  }));
  return [toRecord(updates.reduce(mergeUpdates))];
}

/** The same row with no secret in it, as somebody would try to write it who knows its key. */
export function guessOf(row: Row): Row {
  return JSON.parse(JSON.stringify(row).replaceAll(SECRET, 'guess')) as Row;
}

/** Each argument that the functions take, in JSON and in SQL. */
const PLAUSIBLE: Readonly<Record<string, { json: unknown; sql: string }>> = {
  updates: {
    json: endedJob('forced', 'guess'),
    sql: `${quoteLiteral(JSON.stringify(endedJob('forced', 'guess')))}::jsonb`,
  },
  schema_version: { json: WRITABLE_VERSION, sql: String(WRITABLE_VERSION) },
  older_than: { json: '9999-12-31T00:00:00Z', sql: "'9999-12-31'::timestamptz" },
  statuses: { json: JOB_STATES, sql: `array[${JOB_STATES.map(quoteLiteral).join(', ')}]` },
  at_most: { json: 1, sql: '1' },
  in_queue: { json: 'q', sql: "'q'" },
  ids: { json: ['theirs'], sql: "array['theirs']" },
};

function plausible(routine: Routine) {
  return routine.args.map(({ name }) => {
    const argument = PLAUSIBLE[name];
    if (argument === undefined) {
      throw new Error(`${routine.signature}: say in PLAUSIBLE what to give as ${name}`);
    }
    return { name, ...argument };
  });
}

/** The call of a function by SQL. */
export function callSql(routine: Routine): string {
  const args = plausible(routine).map(({ name, sql }) => `${quoteIdentifier(name)} => ${sql}`);
  return `select ${quoteIdentifier(routine.schema)}.${quoteIdentifier(routine.name)}(${args.join(', ')}) as answer`;
}

/** All attempts through the API. @param row one that is there, as it would be written */
export async function tryApi(
  api: SupabasePart,
  token: string | undefined,
  made: Made,
  rowOf: (relation: Relation) => Row,
): Promise<Outcome[]> {
  const client = browserClient(api, token);
  const outcomes: Outcome[] = [];
  const keep = (
    attempt: string,
    { data, count, error }: { data: unknown; count: number | null; error: unknown },
  ) =>
    outcomes.push({
      attempt,
      code: (error as { code?: string } | null)?.code,
      said: JSON.stringify({ data, count, error }),
      gave: Array.isArray(data) ? data.length > 0 : Boolean(data) || Boolean(count),
    });

  for (const relation of made.relations) {
    const { schema, name } = relation;
    const row = rowOf(relation);
    const [key = 'queue', value] = Object.entries(row)[0] ?? [];
    const table = () => client.schema(schema).from(name);
    keep(`select ${name}`, await table().select('*'));
    keep(`count ${name}`, await table().select('*', { count: 'exact' }).limit(1));
    keep(`select ${name} by key`, await table().select('*').eq(key, value));
    keep(`insert ${name}`, await table().insert({ ...row, job_id: 'forced' }));
    keep(`insert ${name} again`, await table().insert(row));
    keep(`upsert ${name}`, await table().upsert(row).select());
    keep(`update ${name}`, await table().update({ worker: 'forced' }).eq(key, value).select());
    keep(`delete ${name}`, await table().delete({ count: 'exact' }).eq(key, value).select());
  }
  for (const routine of made.routines) {
    const args = Object.fromEntries(plausible(routine).map(({ name, json }) => [name, json]));
    keep(`call ${routine.name}`, await client.schema(routine.schema).rpc(routine.name, args));
  }
  return outcomes;
}

/** The same by SQL, as the API would run it. */
export async function trySql(
  connectionString: string,
  claims: Claims,
  made: Made,
  rowOf: (relation: Relation) => Row,
): Promise<Outcome[]> {
  const attempts = made.relations.flatMap((relation) => {
    const { sql, columns, key } = relation;
    const row = rowOf(relation);
    const names = columns.map(quoteIdentifier).join(', ');
    const insert = (record: Row) =>
      `insert into ${sql} (${names}) select ${names} from jsonb_populate_record(null::${sql}, ${quoteLiteral(JSON.stringify(record))})`;
    return [
      `select * from ${sql}`,
      `select 1 as found from ${sql} for update`,
      `select t as found from ${sql} t, lateral (select t::text) x where x is not null`,
      insert({ ...row, job_id: 'forced' }),
      insert(row),
      `${insert(row)} on conflict do nothing`,
      `${insert(row)} on conflict (${key.join(', ')}) do update set worker = 'forced'`,
      `update ${sql} set worker = 'forced'`,
      `delete from ${sql}`,
    ];
  });
  attempts.push(...made.routines.map(callSql));
  const outcomes: Outcome[] = [];
  for (const attempt of attempts) {
    try {
      const { rows, count } = await sqlAs(connectionString, claims, attempt);
      // A function answers with a row whatever it did; what counts is what stands in it.
      const gave = attempt.startsWith('select "') ? Boolean(rows[0]?.['answer']) : count > 0;
      outcomes.push({ attempt, code: undefined, said: JSON.stringify(rows), gave });
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      outcomes.push({ attempt, code, said: message, gave: false });
    }
  }
  return outcomes;
}

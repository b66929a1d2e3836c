import { migrate } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { median, percentile, round, type Figure, type Findings } from '../harness/figures.ts';
import type { Bench } from '../harness/parts.ts';
import { batchesOf, livesOf } from '../harness/updates.ts';

const FULL = 10_000_000;
const MANY = 1_000_000;

/** What a table that is full already costs: writes into it, and reads of it. */
export async function measureLargeTable(bench: Bench): Promise<Findings> {
  await fill(bench, 'many', MANY);
  const reading = await measureReading(bench);
  await bench.pool.query('drop schema many cascade');
  const writing = await measureWriting(bench);
  return {
    figures: [...reading.figures, ...writing.figures],
    grids: [...reading.grids, ...writing.grids],
  };
}

async function measureReading({ pool }: Bench): Promise<Findings> {
  const store = new PostgresStatusStore(pool, { schema: 'many' });
  const asks: Readonly<Record<string, () => Promise<unknown>>> = {
    'list, newest 50 of a queue': () => store.list({ queue: 'queue-1', limit: 50 }),
    'list, newest 50 that failed': () => store.list({ status: 'failed', limit: 50 }),
    'count, active': () => store.count({ status: 'active' }),
    'count, failed': () => store.count({ status: 'failed' }),
    'count, completed': () => store.count({ status: 'completed' }),
    'count, completed of a queue': () => store.count({ queue: 'queue-1', status: 'completed' }),
  };
  const figures: Figure[] = [];
  const rows: (string | number)[][] = [];
  for (const [what, ask] of Object.entries(asks)) {
    // The first are for the caches and the JIT.
    await timesOf(ask, 1_000);
    const ms = await timesOf(ask, 5_000);
    const p99 = percentile(ms, 99);
    rows.push([what, median(ms).toFixed(2), p99.toFixed(2)]);
    if (what === 'list, newest 50 of a queue')
      figures.push({
        what: `${what}, 1M rows, p99`,
        value: round(p99),
        unit: 'ms',
        target: { most: 5 },
      });
    if (/^count, (failed|completed)$/.test(what))
      figures.push({
        what: `${what}, 1M rows, p99`,
        value: round(p99),
        unit: 'ms',
        target: { most: 50 },
      });
  }
  const title = `Reads of ${MANY.toLocaleString('en')} rows, 98.99 % of them completed, 1 % failed, Postgres store`;
  return { figures, grids: [{ title, head: ['read', 'p50 ms', 'p99 ms'], rows }] };
}

/** How long it takes each time, in ms, again and again for so many ms. */
async function timesOf(ask: () => Promise<unknown>, forMs: number): Promise<number[]> {
  const times: number[] = [];
  const end = performance.now() + forMs;
  for (let now = performance.now(); now < end; now = performance.now()) {
    await ask();
    times.push(performance.now() - now);
  }
  return times;
}

async function measureWriting(bench: Bench): Promise<Findings> {
  const { pool } = bench;
  await fill(bench, 'full', FULL);
  await migrate(pool, { schema: 'empty' });
  const stores = ['empty', 'full'].map((schema) => new PostgresStatusStore(pool, { schema }));
  // In turn, batch by batch; each batch into both. Then their ends.
  const seconds = [0, 0];
  const jobs = 50_000;
  for (const step of livesOf(0, jobs)) {
    for (const batch of batchesOf(step)) {
      for (const [at, store] of stores.entries()) {
        const start = performance.now();
        await store.write(batch);
        seconds[at]! += (performance.now() - start) / 1_000;
      }
    }
  }
  await pool.query('drop schema "full" cascade; drop schema "empty" cascade');
  const [empty, full] = seconds.map((each) => (2 * jobs) / each) as [number, number];
  return {
    figures: [
      {
        what: 'write into 10M rows, of the empty table’s rows/s',
        value: round(full / empty),
        target: { least: 0.7 },
      },
    ],
    grids: [
      {
        title: `Writes of 500 rows, ${jobs.toLocaleString('en')} jobs' starts and ends, Postgres store`,
        head: ['into a table of', 'rows/s'],
        rows: [
          ['no rows', Math.round(empty)],
          [`${FULL.toLocaleString('en')} rows`, Math.round(full)],
        ],
      },
    ],
  };
}

/** Fills a table of its own with jobs that ended, one each 2 s. Its indexes are made once it is full, for that is quicker. */
async function fill({ pool }: Bench, schema: string, rows: number): Promise<void> {
  await migrate(pool, { schema });
  const table = `"${schema}".job_status`;
  const { rows: indexes } = await pool.query<{ name: string; sql: string }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as sql
      from pg_index where indrelid = '${table}'::regclass and not indisprimary`,
  );
  for (const { name } of indexes) await pool.query(`drop index ${name}`);
  await pool.query(`insert into ${table} (
      queue, job_id, name, status, attempt, attempts_made, max_attempts, progress, result, metadata, worker,
      created_at, processed_on, finished_on, first_processed_on, attempt_ended_on, attempt_failed, updated_at,
      sequence, started_at, attempt_started_at, completed_at, failed_at
    )
    select 'queue-' || n % 5, 'old-' || n, 'export', s.status, 1, 1, 1, '0',
      case when s.status = 'completed' then '{"file":"orders.csv"}'::jsonb end,
      jsonb_build_object('organizationId', 'org-' || n % 1000, 'userId', 'user-' || n % 50000), 'worker-1',
      c.at, c.ms + 5, case when s.status <> 'active' then c.ms + 25 end, c.ms + 5,
      case when s.status <> 'active' then c.ms + 25 end, s.status = 'failed', c.at + interval '25 ms', c.ms * 1000,
      c.at + interval '5 ms', c.at + interval '5 ms',
      case when s.status = 'completed' then c.at + interval '25 ms' end,
      case when s.status = 'failed' then c.at + interval '25 ms' end
    from generate_series(1, ${rows}) n,
      lateral (select 1767225600000 - n * 2000::bigint as ms) m,
      lateral (select m.ms, to_timestamp(m.ms / 1000) as at) c,
      lateral (select case when n % 100 = 0 then 'failed' when n % 10000 = 1 then 'active' else 'completed' end as status) s`);
  for (const { sql } of indexes) await pool.query(sql);
  await pool.query(`vacuum analyze ${table}`);
  await pool.query('checkpoint');
}

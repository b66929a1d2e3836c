import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { migrate } from 'bullmq-job-status/migrations';
import type { StatusStore } from 'bullmq-job-status';
import { bareUpsertStore } from '../peers/bare-upsert.ts';
import { median, round, type Findings } from '../harness/figures.ts';
import type { Bench } from '../harness/parts.ts';
import { BATCH, batchesOf, livesOf } from '../harness/updates.ts';

interface Life {
  readonly rowsPerSecond: number;
  readonly walBytesPerJob: number;
  readonly deadTuplesPerJob: number;
  readonly hotShare: number;
}

/** Jobs' whole lives, start and end in writes of their own, against the limit: a bulk upsert with no law. */
export async function measureWrites(bench: Bench): Promise<Findings> {
  const { pool } = bench;
  await migrate(pool, { schema: 'no_status_index' });
  await pool.query(
    'drop index no_status_index.job_status_status_idx, no_status_index.job_status_finished_idx',
  );
  const writers = {
    'bare bulk upsert': { schema: 'bare', store: await bareUpsertStore(pool) },
    'this package': { schema: 'public', store: new PostgresStatusStore(pool) },
    'this package, no index on status': {
      schema: 'no_status_index',
      store: new PostgresStatusStore(pool, { schema: 'no_status_index' }),
    },
  };
  const lives = new Map<string, Life[]>(Object.keys(writers).map((name) => [name, []]));
  const jobs = bench.pick(20_000, 5_000);
  for (let at = -1; at < bench.pick(9, 3); at++) {
    for (const [name, { schema, store }] of Object.entries(writers)) {
      const life = await liveThrough(bench, schema, store, at * jobs, jobs);
      // The first is for the caches.
      if (at >= 0) lives.get(name)?.push(life);
    }
  }
  const limit = lives.get('bare bulk upsert') ?? [];
  const of = (name: string, value: (life: Life, bare: Life) => number) =>
    median((lives.get(name) ?? []).map((life, at) => value(life, limit[at] ?? life)));
  const rows = Object.keys(writers).map((name) => [
    name,
    Math.round(of(name, ({ rowsPerSecond }) => rowsPerSecond)),
    of(name, (life, bare) => life.rowsPerSecond / bare.rowsPerSecond).toFixed(3),
    Math.round(of(name, ({ walBytesPerJob }) => walBytesPerJob)),
    of(name, ({ deadTuplesPerJob }) => deadTuplesPerJob).toFixed(2),
    `${Math.round(of(name, ({ hotShare }) => hotShare) * 100)} %`,
  ]);
  const ours = (value: (life: Life, bare: Life) => number) => round(of('this package', value));
  return {
    figures: [
      {
        what: `write of ${BATCH} rows, of the bare upsert's rows/s`,
        value: ours((life, bare) => life.rowsPerSecond / bare.rowsPerSecond),
        target: { least: 0.8 },
      },
      {
        what: "WAL bytes a job, times the bare upsert's",
        value: ours((life, bare) => life.walBytesPerJob / bare.walBytesPerJob),
        target: { most: 1.3 },
      },
      {
        what: "dead tuples a job, times the bare upsert's",
        value: ours((life, bare) => life.deadTuplesPerJob / bare.deadTuplesPerJob),
        target: { most: 1.3 },
      },
      ...bench.pick(
        [
          {
            what: 'HOT share of updates',
            value: ours(({ hotShare }) => hotShare),
            target: { least: 0.9 },
          },
        ],
        [],
      ),
    ],
    grids: [
      {
        title: `${jobs} jobs' starts and ends, ${BATCH} rows a write, Postgres ${bench.parts.postgres.version}`,
        head: ['by', 'rows/s', 'of the bare', 'WAL bytes a job', 'dead tuples a job', 'HOT'],
        rows,
      },
    ],
  };
}

async function liveThrough(
  { pool }: Bench,
  schema: string,
  store: StatusStore,
  first: number,
  jobs: number,
): Promise<Life> {
  const table = `${schema}.job_status`;
  await pool.query(`truncate ${table} cascade`);
  await pool.query(`select pg_stat_reset_single_table_counters('${table}'::regclass)`);
  await pool.query('checkpoint');
  const steps = livesOf(first, jobs);
  const lsn = await ask<string>(pool, 'pg_current_wal_lsn()::text');
  let ms = 0;
  for (const step of steps) {
    for (const batch of batchesOf(step)) {
      const start = performance.now();
      await store.write(batch);
      ms += performance.now() - start;
    }
  }
  const wal = await ask<number>(pool, `pg_wal_lsn_diff(pg_current_wal_lsn(), '${lsn}')::float`);
  await pool.query('select pg_stat_force_next_flush()');
  await pool.query('select pg_sleep(0.1)');
  const counter = (name: string) =>
    ask<number>(
      pool,
      `(select ${name}::float from pg_stat_all_tables where relid = '${table}'::regclass)`,
    );
  const updated = await counter('n_tup_upd');
  return {
    rowsPerSecond: (2 * jobs * 1_000) / ms,
    walBytesPerJob: wal / jobs,
    deadTuplesPerJob: updated / jobs,
    hotShare: (await counter('n_tup_hot_upd')) / updated,
  };
}

async function ask<T>(pool: Bench['pool'], sql: string): Promise<T> {
  return (await pool.query<{ value: T }>(`select ${sql} as value`)).rows[0]!.value;
}

// What the table costs Postgres, and how long an upgrade of a full one holds it:
//   node bench/table.ts [rows, 1,000,000 by default]

import { migrate, migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import Table from 'cli-table3';
import { readFileSync } from 'node:fs';
import { Pool } from 'pg';
import { SCHEMA_VERSION } from '../src/migrations/version.ts';
import { startPostgres } from '../tests/parts/index.ts';
import { JobHistory, START } from '../src/testing/histories.ts';

const JOBS = 40_000;
const BATCH = 500;
const rows = Number(process.argv[2] ?? 1_000_000);

await using postgres = await startPostgres({
  settings: { shared_buffers: '256MB', max_wal_size: '4GB' },
});
const pool = new Pool({ connectionString: postgres.connectionString });
const store = new PostgresStatusStore(pool);
await pool.query(migrationSql());

/** The snapshots of so many jobs: each starts, tells its progress so many times, and completes. */
function batchOf(first: number, progressCalls: number) {
  const histories = Array.from({ length: BATCH }, (_, at) => {
    const history = new JobHistory({ queue: `queue-${at % 5}`, id: `${first + at}` }).start();
    for (let call = 1; call <= progressCalls; call++) history.progress(20, call);
    return history.complete(20).snapshots.map((snapshot) => ({
      ...snapshot,
      createdAt: new Date(START + first + at),
      metadata: { organizationId: `org-${at % 100}`, userId: `user-${(first + at) % 5_000}` },
    }));
  });
  return Array.from({ length: progressCalls + 2 }, (_, step) =>
    histories.map((snapshots) => snapshots[step]!),
  );
}

async function ask<T>(sql: string): Promise<T> {
  return (await pool.query<{ value: T }>(`select ${sql} as value`)).rows[0]!.value;
}

/** Jobs that overlap as they do in life: each batch's next step is written two batches later. */
async function life(progressCalls: number) {
  await pool.query('truncate job_status cascade');
  await pool.query("select pg_stat_reset_single_table_counters('job_status'::regclass)");
  const batches = Array.from({ length: JOBS / BATCH }, (_, at) =>
    batchOf(at * BATCH, progressCalls),
  );
  const lsn = await ask<string>('pg_current_wal_lsn()::text');
  const start = performance.now();
  for (let at = 0; at < batches.length + 2 * (progressCalls + 1); at++) {
    for (let step = 0; step < progressCalls + 2; step++) {
      const due = batches[at - 2 * step]?.[step];
      if (due !== undefined) await store.write(due);
    }
  }
  const seconds = (performance.now() - start) / 1_000;
  await pool.query('select pg_stat_force_next_flush(), pg_sleep(1)');
  const wal = await ask<number>(`pg_wal_lsn_diff(pg_current_wal_lsn(), '${lsn}')::float / ${JOBS}`);
  const counter = (name: string) =>
    ask<number>(`(select ${name}::float from pg_stat_user_tables where relname = 'job_status')`);
  const share = (await counter('n_tup_hot_upd')) / (await counter('n_tup_upd'));
  const bytes = (of: string) => ask<number>(`pg_${of}_size('job_status')::float / ${JOBS}`);
  return [
    progressCalls,
    Math.round((JOBS * (progressCalls + 2)) / seconds).toLocaleString('en'),
    `${Math.round(share * 100)} %`,
    Math.round(wal).toLocaleString('en'),
    Math.round(await bytes('table')),
    Math.round(await bytes('indexes')),
  ];
}

const costs = new Table({
  head: [
    'progress calls',
    'rows written/s',
    'HOT updates',
    'WAL bytes a job',
    'table bytes a job',
    'index bytes a job',
  ],
});
for (const calls of [0, 1, 5]) costs.push(await life(calls));
console.log(
  `Postgres ${postgres.version}, ${JOBS.toLocaleString('en')} jobs: start, progress, end; ${BATCH} rows a write`,
);
console.log(costs.toString());

// An upgrade of a full table, from each earlier version, beside a program that writes on.
const support = new URL('../tests/support/', import.meta.url);
const upgrades = new Table({
  head: ['from version', 'upgrade in s', 'longest wait of a query meanwhile, s'],
});
for (let version = 1; version < SCHEMA_VERSION; version++) {
  await pool.query('drop schema public cascade; create schema public');
  await pool.query(readFileSync(new URL(`schema-versions/${version}.sql`, support), 'utf8'));
  await pool.query(
    readFileSync(new URL('million.sql', support), 'utf8').replace('1000000', String(rows)),
  );
  const start = performance.now();
  const upgrade = migrate(pool).then(() => performance.now() - start);
  let isUpgraded = false;
  let longestMs = 0;
  void upgrade.then(() => (isUpgraded = true));
  while (!isUpgraded) {
    const before = performance.now();
    await pool.query("select job_status_write('[]'), count(*) from job_status where job_id = '1'");
    longestMs = Math.max(longestMs, performance.now() - before);
  }
  upgrades.push([version, ((await upgrade) / 1_000).toFixed(1), (longestMs / 1_000).toFixed(1)]);
}
console.log(`Upgrades at ${rows.toLocaleString('en')} rows`);
console.log(upgrades.toString());
await pool.end();

import { migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { expect, test } from 'vitest';
import { runSql, startPostgres } from '../parts/index.ts';
import { docsBlocks } from '../support/docs.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { openPool } from '../support/pool.ts';

const [rights = ''] = docsBlocks('database.md', 'sql');

test('a role of its own needs what docs/database.md grants it, and no line less', async () => {
  await using postgres = await startPostgres();
  await runSql(postgres.connectionString, 'create role app login');
  const grants = rights.trim().split('\n');
  // Whatever schema public gives to everybody is not this role's to count on.
  const setUp = `${migrationSql()}; revoke usage on schema public from public;`;
  for (const [at, missing] of [...grants, 'none'].entries()) {
    const connectionString = await postgres.createDatabase(`roles_${at}`);
    const given = grants.filter((grant) => grant !== missing).join('\n');
    await runSql(connectionString, `${setUp} ${given}`);
    const url = new URL(connectionString);
    url.username = 'app';
    const pool = openPool(url.href);
    const store = new PostgresStatusStore(pool);
    const snapshots = new JobHistory().start().fail(1, 0).start().complete().snapshots;
    const used = async () => {
      for (const snapshot of snapshots) await store.write([snapshot]);
      const { items } = await store.list({ status: 'completed' });
      return [items.length, await store.count(), await store.prune({ olderThan: 0 })];
    };
    if (missing === 'none') expect(await used()).toEqual([1, 1, 1]);
    else await expect(used(), missing).rejects.toMatchObject({ code: 'ERR_STORE_SETUP' });
    await pool.end();
  }
});

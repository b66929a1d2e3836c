import { compareAndSetStore } from 'bullmq-job-status';
import { DatabaseSync } from 'node:sqlite';

/** Rows in an SQLite file, which any number of processes may share. */
export function createSqliteStore(path: string) {
  const db = new DatabaseSync(path);
  // One process at a time may write; the others wait for it. Those who read wait for nobody.
  db.exec('pragma busy_timeout = 5000; pragma journal_mode = wal');
  db.exec(`create table if not exists job_status (
    queue text, job_id text, row text not null, primary key (queue, job_id)
  ) strict`);

  const find = db.prepare('select row from job_status where queue = ? and job_id = ?');
  const add = db.prepare('insert into job_status values (?, ?, ?) on conflict do nothing');
  const change = db.prepare(
    'update job_status set row = ? where queue = ? and job_id = ? and row = ?',
  );

  const store = compareAndSetStore<string>({
    async read(keys) {
      const texts = keys.map(({ queue, jobId }) => find.get(queue, jobId)?.['row'] as string);
      // A row's own text serves as its version.
      return texts.filter(Boolean).map((text) => ({ version: text, row: JSON.parse(text) }));
    },
    async compareAndSet({ queue, jobId }, expected, row) {
      const text = JSON.stringify(row);
      const isNew = expected === undefined;
      const { changes } = isNew
        ? add.run(queue, jobId, text)
        : change.run(text, queue, jobId, expected);
      return changes === 1;
    },
  });
  return { ...store, close: async () => db.close() };
}

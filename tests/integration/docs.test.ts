import { migrationSql } from 'bullmq-job-status/migrations';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../src/migrations/version.ts';
import { runSql, startPostgres } from '../parts/index.ts';

/* What the documents say of the table is what it is, and where they point there is something. */

const root = fileURLToPath(new URL('../../', import.meta.url));
const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs')).map((name) => join('docs', name)),
];
const read = (document: string) => readFileSync(join(root, document), 'utf8');

/** The cells of the table that begins with a column of this name. */
function table(document: string, column: string): string[][] {
  const [, ...lines] = read(document)
    .split(new RegExp(`^\\| ${column} .*$`, 'm'))[1]!
    .split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines
    .slice(1, end)
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));
}

test('docs/database.md names every column and its type, and every version', async () => {
  await using postgres = await startPostgres();
  await runSql(postgres.connectionString, migrationSql());
  const columns = await runSql(
    postgres.connectionString,
    "select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = 'job_status'::regclass and attnum > 0 order by attnum",
  );
  expect(table('docs/database.md', 'column').map(([, name, type]) => [name, type])).toEqual(
    columns.map(({ name, type }) => [name, type]),
  );
  expect(table('docs/database.md', 'version').map(([, version]) => Number(version))).toEqual(
    Array.from({ length: SCHEMA_VERSION }, (_, at) => at + 1),
  );
});

test.each(documents)('%s: every link within the project leads somewhere', (document) => {
  const links = [...read(document).matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link]) => link!);
  for (const link of links) {
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? document : join(dirname(document), path);
    expect(existsSync(join(root, target)), `${document}: ${link}`).toBe(true);
    if (anchor === undefined) continue;
    const anchors = [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(/\s/g, '-'),
    );
    expect(anchors).toContain(anchor);
  }
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/* Each fault that a test injects has its line in the document, and each line there its test. */

const root = fileURLToPath(new URL('../../', import.meta.url));

test('docs/faults.md has a line for each fault of tests/faults, and no other', () => {
  const folder = join(root, 'tests/faults');
  const files = readdirSync(folder).filter((name) => name.endsWith('.test.ts'));
  const injected = files.flatMap((name) => {
    const source = readFileSync(join(folder, name), 'utf8');
    return [...source.matchAll(/fault:\s*(?:'([^']+)'|"([^"]+)")/g)].map(
      ([, single, double]) => single ?? double,
    );
  });
  const [, table = ''] = readFileSync(join(root, 'docs/faults.md'), 'utf8').split(
    /^\| what went wrong.*\n.*\n/m,
  );
  const [lines = ''] = table.split('\n\n');
  const told = lines.split('\n').map((line) => line.split('|')[1]?.trim());
  expect(injected.length).toBeGreaterThan(20);
  expect(new Set(told)).toEqual(new Set(injected));
});

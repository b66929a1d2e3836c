import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { manifest, ROOT } from './project.ts';
import { publicApi } from './public-api.ts';

/*
 * The public API as it stands in `api/`, one file for each entry. A change shows there as a diff, to be
 * looked at in review; `npx vitest run tests/package/api.test.ts --update` writes it down.
 */

interface Condition {
  readonly types: string;
  readonly default: string;
}
type Entry = Readonly<Record<'import' | 'require', Condition>>;

const entries = Object.entries(manifest.exports).filter(
  (entry): entry is [string, Entry] => typeof entry[1] === 'object',
);

describe.each(entries)('the entry %s', (name, entry) => {
  const file = name === '.' ? 'core' : name.slice(2);

  test('exports what its snapshot says', async () => {
    const module = (await import(pathToFileURL(join(ROOT, entry.import.default)).href)) as object;
    const values = Object.keys(module).toSorted();
    const text = [
      `# bullmq-job-status${name.slice(1)}`,
      '',
      `At run time: ${values.map((value) => `\`${value}\``).join(', ')}.`,
      '',
      publicApi(join(ROOT, entry.import.types), join(ROOT, 'dist/index.d.ts')),
    ].join('\n');
    await expect(text).toMatchFileSnapshot(`api/${file}.md`);
  });

  test('says the same to CommonJS', () => {
    const [esm, cjs] = [entry.import, entry.require].map(({ types }) =>
      publicApi(join(ROOT, types)),
    );
    expect(cjs).toBe(esm);
  });

  test('shows nobody an `any`', () => {
    expect(publicApi(join(ROOT, entry.import.types))).not.toMatch(/\bany\b/);
  });
});

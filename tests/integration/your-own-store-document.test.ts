import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BROKEN_STORES } from '../support/broken-stores/index.ts';
import { cli } from '../support/cli.ts';
import { docsBlocks } from '../support/docs.ts';
import { ROOT, scratchFolder } from '../support/programs.ts';

/* docs/your-own-store.md: its stores are the examples, its suites those that are run, its verdicts what is printed. */

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const scratch = scratchFolder('own-store');

test('its stores are those that the kit is run on', () => {
  const shown = docsBlocks('your-own-store.md', 'ts');
  const examples = ['smallest', 'redis', 'drizzle'];
  expect(shown).toEqual(examples.map((name) => read(`examples/stores/${name}.ts`)));
});

test('it says how many wrong stores hold the suite', () => {
  expect(read('docs/your-own-store.md')).toContain(`on purpose, ${BROKEN_STORES.length} of them`);
});

test('its suites are those that are run in each runner, on the packed package', () => {
  const shown = docsBlocks('your-own-store.md', 'js');
  const suites = ['suite.vitest.mjs', 'suite.jest.cjs', 'suite.node.mjs'];
  expect(shown).toEqual(suites.map((name) => read(`tests/package/projects/kit/${name}`)));
});

test.each([
  ['right', 0, 0],
  ['wrong', 1, 1],
])('the verdict on a store that is %s is what is printed', async (name, at, code) => {
  const stores = read('tests/package/projects/kit/my-store.js');
  writeFileSync(join(scratch, 'my-store.cjs'), stores.replace('process.env.STORE', `'${name}'`));
  const args = ['verify', './my-store.cjs', '--seed', '4711'];
  const { stdout, exitCode } = await cli(args, { cwd: scratch });
  expect(exitCode).toBe(code);
  const shown = docsBlocks('your-own-store.md', 'text')[at] ?? '';
  expect(stdout).toContain(shown);
  expect(shown.length).toBeGreaterThan(300);
});

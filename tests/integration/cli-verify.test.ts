import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { cli } from '../support/cli.ts';
import { ROOT } from '../support/programs.ts';

/* `verify`, as a process, on modules as users write them. */

// Below the package's root, so that modules find the package by its own name.
mkdirSync(join(ROOT, '.tmp'), { recursive: true });
const cwd = mkdtempSync(join(ROOT, '.tmp/verify-'));
afterAll(() => rmSync(cwd, { recursive: true }));

let modules = 0;

/** Writes a module, and verifies it. */
function verify(code: string, ...flags: string[]) {
  const name = `store-${++modules}.mjs`;
  writeFileSync(join(cwd, name), code);
  return cli(['verify', `./${name}`, ...flags], { cwd });
}

const RIGHT = `
import { MemoryStatusStore } from 'bullmq-job-status';
export const createStore = () => new MemoryStatusStore();
`;

const LAST_WRITE_WINS = `
import { MemoryStatusStore } from 'bullmq-job-status';
class LastWriteWins extends MemoryStatusStore {
  async write(updates) {
    for (const update of updates) {
      await this.delete({ queue: update.queue, jobId: update.jobId });
      await super.write([update]);
    }
  }
}
export default () => new LastWriteWins();
`;

describe('a store that is right', () => {
  test('is said to be: a line for each law, and a verdict', async () => {
    const { stdout, stderr, exitCode } = await verify(RIGHT, '--seed', '4711');
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.at(-1)).toMatch(/^Right: all \d+ tests hold \(seed 4711\)$/);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^✓ [A-Z][a-z]+ +\d+$/);
    expect(lines.length).toBeGreaterThan(15);
  });

  test('is so through the batcher too, with as many histories as wanted', async () => {
    const { stdout, exitCode } = await verify(RIGHT, '--through-batcher', '--runs', '5');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Right: all');
  });

  test('need not have every method, may be made later, and may keep connections open', async () => {
    const { stdout, stderr, exitCode } = await verify(
      `
      import { MemoryStatusStore } from 'bullmq-job-status';
      import { createServer } from 'node:net';
      createServer().listen(0);
      export async function make() {
        const store = new MemoryStatusStore();
        return {
          write: (updates) => store.write(updates),
          get: (key) => store.get(key),
          count: (query) => store.count(query),
        };
      }
      export const capabilities = { count: false };
    `,
      '--export',
      'make',
    );
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(stdout).toContain('- List        the store has no method for it\n');
    expect(stdout).not.toContain('Count');
  });
});

test('a store that is wrong is told how, and by which seed it is wrong again', async () => {
  const run = () => verify(LAST_WRITE_WINS, '--seed', '7', '--runs', '50');
  const { stdout, stderr, exitCode } = await run();
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 1 });
  expect(stdout).toMatch(/^✗ Order +\d+ of \d+ broken$/m);
  expect(stdout).toMatch(/^✓ Keys +\d+$/m);
  expect(stdout).toContain('    The law of Order is broken. Which of two snapshots is newer');
  expect(stdout).toContain("      status: expected 'completed', got 'active'\n");
  expect(stdout).toMatch(
    /Not right: \d+ of \d+ tests fail\. The same again: --seed 7 --runs 50\n$/,
  );
  const withoutQueues = (text: string) => text.replaceAll(/kit-[\da-f-]{36}/g, 'kit-…');
  expect(withoutQueues((await run()).stdout)).toBe(withoutQueues(stdout));
});

test('what compilers make of a default export is found', async () => {
  const name = `store-${++modules}.cjs`;
  const code = `exports.__esModule = true;
    const { MemoryStatusStore } = require('bullmq-job-status');
    exports.default = () => new MemoryStatusStore();
    exports.capabilities = { prune: false, list: false };`;
  writeFileSync(join(cwd, name), code);
  const { stdout, exitCode } = await cli(['verify', `./${name}`, '--runs', '5'], { cwd });
  expect(exitCode).toBe(0);
  expect(stdout).not.toMatch(/Prune|List/);
});

test('what the store throws is shown with where', async () => {
  const { stdout, exitCode } = await verify(`
    export function createStore() {
      return { async write() { throw new Error('no disk') }, async get() {} };
    }
  `);
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/Error: no disk\n +at Object\.write \(file:.*store-\d+\.mjs:3:/);
});

describe('what is no store', () => {
  const failed = (stderr: string) => ({ stdout: '', stderr, exitCode: 1 });

  test('a module that is not there, or breaks', async () => {
    const { stdout, stderr, exitCode } = await cli(['verify', './none.mjs'], { cwd });
    expect({ stdout, stderr, exitCode }).toEqual(failed('error: There is no file ./none.mjs\n'));
    const broken = await verify("throw new Error('no driver');");
    expect(broken.exitCode).toBe(1);
    expect(broken.stderr).toMatch(
      /can't be loaded: Error: no driver\n +at file:.*store-\d+\.mjs:1:/,
    );
  });

  test.each([
    [
      'export const store = {};',
      'createStore or default',
      'store (an object with the keys (none))',
    ],
    ['export const createStore = 5;', 'createStore or default', 'createStore (a number)'],
    ['export default class Store {}', 'createStore or default', 'default (a class)'],
  ])('a module that makes none: %s', async (code, wanted, exported) => {
    expect(await verify(code)).toEqual(
      failed(
        `error: ./store-${modules}.mjs has to export a function ${wanted} that makes a store, such as () => new MyStore(); it exports ${exported}\n`,
      ),
    );
  });

  test.each([
    ["throw new Error('no database')", 'no database'],
    [
      'return {}',
      'Expected `store` to be a StatusStore with write and get, got an object with the keys (none)',
    ],
  ])('a createStore that makes none is told once: %s', async (body, message) => {
    expect(await verify(`export function createStore() { ${body}; }`)).toEqual(
      failed(`error: ./store-${modules}.mjs makes no store: ${message}\n`),
    );
  });

  test('capabilities that are none', async () => {
    const code = `${RIGHT} export const capabilities = { lists: true };`;
    expect(await verify(code)).toEqual(
      failed(
        'error: Unknown key `lists` in options.capabilities; known are attempts, list, count, delete, prune, shared, filters\n',
      ),
    );
  });

  test.each([
    ['--seed', 'x', 'Expected a whole number from 0 to 9007199254740991.'],
    ['--runs', '0', 'Expected a whole number from 1 to 100000.'],
  ])('%s %s', async (flag, value, message) => {
    const { stdout, stderr, exitCode } = await verify(RIGHT, flag, value);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toContain(message);
  });
});

import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodes, openWorkshop, testedVersion, type Workshop } from './project.ts';

/* The kit as authors of stores get it: in a project that has this package and a runner, and nothing else. */

const RUNNERS: readonly {
  readonly name: string;
  readonly installs?: readonly string[];
  /** The file that Node runs, and what it is told. */
  readonly args: readonly string[];
}[] = [
  { name: 'node:test, ESM', args: ['--test', 'suite.node.mjs'] },
  { name: 'node:test, CommonJS', args: ['--test', 'suite.node.cjs'] },
  {
    name: 'vitest',
    installs: ['vitest', 'vite'].map((each) => `${each}@${testedVersion(each)}`),
    args: ['node_modules/vitest/vitest.mjs', 'run'],
  },
  { name: 'jest', installs: ['jest@30'], args: ['node_modules/jest/bin/jest.js'] },
];

let workshop: Workshop;
const folders = new Map<string, string>();

beforeAll(async () => {
  workshop = await openWorkshop();
  for (const [at, { name, installs = [] }] of RUNNERS.entries()) {
    const options = { fixture: 'kit', peers: false };
    folders.set(name, await workshop.project(`runner-${at}`, installs, options));
  }
});
afterAll(() => workshop?.[Symbol.asyncDispose]());

describe.each(RUNNERS)('$name', ({ name, args }) => {
  // The Node on the PATH runs the first alone: it is the kit that is tried, not the runners.
  const paths = nodes().filter(
    ({ path }) => path === process.execPath || name === RUNNERS[0]?.name,
  );

  describe.each(paths)('on $name', ({ path }) => {
    async function run(store: 'right' | 'wrong') {
      const { all, exitCode, timedOut } = await execa(path, args, {
        cwd: folders.get(name) as string,
        env: { NODE_OPTIONS: '', NODE_PATH: '', NO_COLOR: '1', VITEST: undefined, STORE: store },
        all: true,
        reject: false,
        timeout: 100_000,
      });
      expect(timedOut).toBe(false);
      return { all, exitCode };
    }

    test('a store that is right passes', async () => {
      const { all, exitCode } = await run('right');
      expect({ all: exitCode === 0 ? '' : all, exitCode }).toEqual({ all: '', exitCode: 0 });
      // All of them were run, and none was passed over.
      expect(all).toMatch(/\b(?:tests 1\d\d|1\d\d passed)\b/);
    });

    // CommonJS brings the same kit.
    if (name.endsWith('CommonJS')) return;
    test('one that is not fails, and is told by which law, on which history, from which seed', async () => {
      const { all, exitCode } = await run('wrong');
      expect(exitCode).toBe(1);
      expect(all).toContain('Order: an id used again at once, told in any order');
      expect(all).toContain('The law of Order is broken. Which of two snapshots is newer');
      expect(all).toContain("status: expected 'completed', got 'active'");
      expect(all).toMatch(/Drawn with seed \d+, runs 200\./);
    });
  });
});

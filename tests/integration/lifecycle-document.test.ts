import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { docsBlocks } from '../support/docs.ts';
import { onTestParts, ROOT, runProgram, scratchFolder } from '../support/programs.ts';
import { TRANSITIONS } from '../support/transitions.ts';

/* docs/lifecycle.md: its table says what the tests of the transitions hold, and its programs run. */

test('its table has a line for each transition that is tested, and says who tells of it', () => {
  const text = readFileSync(join(ROOT, 'docs/lifecycle.md'), 'utf8');
  const [, ...lines] = text.split(/^\| transition .*$/m)[1]!.split('\n');
  const rows = lines.slice(1, lines.indexOf('')).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  // The last two are held elsewhere: `lost-replies.test.ts`, `flows.test.ts`.
  const said = rows.slice(0, -2).map(([name, worker, queue, reconciled]) => ({
    name,
    worker: worker !== '',
    queue: queue !== '',
    isForgotten: reconciled !== 'yes',
  }));
  const held = Object.entries(TRANSITIONS).map(([name, transition]) => ({
    name,
    worker: !transition.isBeforeWorker,
    queue: !transition.isSilent,
    isForgotten: transition.isForgotten ?? false,
  }));
  expect(said).toEqual(held);
});

const scratch = scratchFolder('lifecycle');

test.each(docsBlocks('lifecycle.md', 'ts').map((code, at) => [at + 1, code] as const))(
  'program %i runs as it stands',
  async (at, code) => {
    const file = join(scratch, `${at}.ts`);
    writeFileSync(file, onTestParts(code, 'lifecycle'));
    expect((await runProgram(file)).stderr).toBe('');
  },
);

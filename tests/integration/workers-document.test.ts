import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { docsBlocks } from '../support/docs.ts';
import { onTestParts, ROOT, runProgram, scratchFolder } from '../support/programs.ts';

/* docs/workers.md: what it shows of the NestJS example is that, and its programs run as they stand there. */

const scratch = scratchFolder('workers');

const [provider, application, processor = '', sandboxed = '', byHand = '', ...others] = docsBlocks(
  'workers.md',
  'ts',
);

function run(code: string) {
  const file = join(scratch, 'program.ts');
  writeFileSync(file, onTestParts(code, randomUUID()));
  return runProgram(file);
}

test('shows examples/nestjs', () => {
  const example = (file: string) => readFileSync(join(ROOT, 'examples/nestjs', file), 'utf8');
  expect(provider).toBe(example('status-tracking.module.ts'));
  expect(application).toBe(example('app.module.ts'));
  expect(others).toEqual([]);
});

test('the sandboxed processor runs', async () => {
  writeFileSync(join(scratch, 'processor.ts'), processor);
  const { stdout, stderr } = await run(sandboxed);
  expect(stderr).toBe('');
  for (const line of ["status: 'completed'", 'progress: 3', "result: 'orders.csv'"])
    expect(stdout).toContain(line);
});

test('the job taken by hand is completed', async () => {
  const { stdout, stderr } = await run(byHand);
  expect(stderr).toBe('');
  for (const line of ["status: 'completed'", "result: 'orders.csv'", 'attempt: 1'])
    expect(stdout).toContain(line);
});

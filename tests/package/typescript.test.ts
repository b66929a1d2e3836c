import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkshop, ROOT, testedVersion, type Workshop } from './project.ts';

/*
 * Strict TypeScript projects without `skipLibCheck`: our declarations are checked along with the program.
 * Only the one with supabase-js has it, and the DOM's types, for supabase-js's own declarations need both.
 */

let workshop: Workshop;
let folder: string;

beforeAll(async () => {
  workshop = await openWorkshop();
  const names = ['bullmq', 'ioredis', '@supabase/supabase-js', 'pg', '@types/pg', '@types/node'];
  const dependencies = names.map((name) => `${name}@${testedVersion(name)}`);
  folder = await workshop.project('typescript', dependencies, { fixture: 'typescript' });
});
afterAll(() => workshop?.[Symbol.asyncDispose]());

/** What a compiler says of the project, by one of its configurations: nothing, where all is well. */
async function compile(compiler: string, config: string): Promise<string> {
  const command = join(ROOT, 'node_modules/.bin', compiler);
  const options = { cwd: folder, all: true, reject: false } as const;
  const { all, exitCode } = await execa(command, ['--project', `tsconfig.${config}.json`], options);
  return exitCode === 0 ? all : `${compiler} ended with ${exitCode}: ${all}`;
}

// `tsc` is TypeScript 7, `tsc6` the last one written in JavaScript.
describe.each(['tsc', 'tsc6'])('%s accepts what is right, and nothing else', (compiler) => {
  test.each(['esm', 'cjs', 'supabase'])('in the project %s', async (config) => {
    expect(await compile(compiler, config)).toBe('');
  });
});

test('the older resolution, which knows no exports map, finds every entry too', async () => {
  expect(await compile('tsc6', 'node10')).toBe('');
});

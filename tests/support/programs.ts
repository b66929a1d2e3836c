import { execa } from 'execa';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, inject } from 'vitest';

/* Programs as users have them, run as processes. */

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * A folder for programs, removed after the file's tests: below the package's root, so that they find the
 * package by its own name, as users' do.
 */
export function scratchFolder(kind: string): string {
  mkdirSync(join(ROOT, '.tmp'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, `.tmp/${kind}-`));
  afterAll(() => rmSync(folder, { recursive: true }));
  return folder;
}

/**
 * A program's code as it stands, but for where Redis is and how its queues are called: the tests' Redis is
 * everybody's.
 */
export function onTestParts(code: string, suffix: string): string {
  return code
    .replace("{ host: 'localhost', port: 6379 }", JSON.stringify(inject('parts').redis))
    .replaceAll(/'(exports|mail|maintenance)'/g, `'$1-${suffix}'`);
}

/** Runs a program to its end, with the tests' Postgres as its `DATABASE_URL`. */
export function runProgram(file: string) {
  const env = { DATABASE_URL: inject('parts').connectionString, NO_COLOR: '1' };
  return execa(process.execPath, [file], { cwd: ROOT, env, timeout: 25_000 });
}

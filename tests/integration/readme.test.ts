import { execa } from 'execa';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { resolveOptions, type TrackingOptions } from '../../src/options.ts';

/* The README is held word for word: its programs run, its tables say what the code does. */

const root = fileURLToPath(new URL('../../', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** The code blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code]) => code as string,
  );
}

/** The cells of each row of the table that begins with a column of this name. */
function table(column: string): string[][] {
  const lines = readme.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${column} `));
  const end = lines.findIndex((line, at) => at > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

// Below the package's root, so that programs find the package by its own name, as users' do.
mkdirSync(join(root, '.tmp'), { recursive: true });
const scratch = mkdtempSync(join(root, '.tmp/readme-'));

afterAll(() => rmSync(scratch, { recursive: true }));

/** Runs a program as it stands, on this test's Redis instead of the usual one. */
function run(code: string, name: string, timeout = 20_000) {
  const { redis, supabaseUrl, secretKey, connectionString } = inject('parts');
  const file = join(scratch, `${name}.ts`);
  writeFileSync(file, code.replace("{ host: 'localhost', port: 6379 }", JSON.stringify(redis)));
  const env = {
    SUPABASE_URL: supabaseUrl,
    SUPABASE_SECRET_KEY: secretKey,
    DATABASE_URL: connectionString,
  };
  return execa(process.execPath, [file], { cwd: root, env, timeout });
}

describe('programs', () => {
  const [quickstart = '', supabase = '', postgres = '', ...rest] = blocks('ts');
  const [pglite = '', smallest = '', suite = '', ...more] = rest;
  const [reading = '', lifecycle = '', migrate = '', ...others] = more;

  test('the first one is examples/quickstart.ts, and prints a row like the one shown', async () => {
    expect(quickstart).toBe(readFileSync(join(root, 'examples/quickstart.ts'), 'utf8'));
    const { stdout, stderr } = await run(quickstart, 'quickstart');
    const withoutValues = (row: string) =>
      row
        .trim()
        .replaceAll(
          /(worker: |createdAt: |processedOn: |finishedOn: |firstProcessedOn: |attemptEndedOn: |updatedAt: |sequence: |startedAt: |attemptStartedAt: |completedAt: )[^,\n]+/g,
          '$1…',
        );
    expect(stderr).toBe('');
    expect(withoutValues(stdout)).toBe(withoutValues(blocks('js')[0] ?? ''));
  });

  test.each([
    ['supabase', supabase],
    ['postgres', postgres],
  ])('the next is examples/%s.ts, and runs until it is told to end', async (name, code) => {
    expect(code).toBe(readFileSync(join(root, `examples/${name}.ts`), 'utf8'));
    const program = run(`${code}\nconsole.log('it listens');`, name);
    await once(program.stdout, 'data');
    program.kill('SIGTERM');
    expect((await program).stderr).toBe('');
  });

  test('a store of your own is examples/stores/smallest.ts, under 40 lines, and its suite passes', async () => {
    expect(smallest).toBe(readFileSync(join(root, 'examples/stores/smallest.ts'), 'utf8'));
    expect(smallest.split('\n').length).toBeLessThan(40);
    writeFileSync(join(scratch, 'store.ts'), smallest);
    const { stdout } = await run(suite, 'suite', 150_000);
    expect(stdout).toMatch(/^\S fail 0$/m);
    expect(Number(/^\S pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(90);
  }, 160_000);

  test('PGlite, reading, more than the worker and migrating run as shown', async () => {
    for (const [name, code] of Object.entries({ pglite, reading, lifecycle, migrate })) {
      expect((await run(code, name)).stderr).toBe('');
    }
    expect(others).toEqual([]);
  });

  test('the commands print what is shown', async () => {
    const commands = blocks('sh')
      .flatMap((block) => block.split('\n'))
      .flatMap((line) => /^npx bullmq-job-status (.*?)\s*(?:#.*)?$/.exec(line)?.[1] ?? []);
    const cwd = join(scratch, 'commands');
    mkdirSync(cwd);
    const env = { DATABASE_URL: inject('parts').connectionString };
    const printed: string[] = [];
    for (const command of commands) {
      const main = join(root, 'src/cli/main.ts');
      const { stdout } = await execa(process.execPath, [main, ...command.split(' ')], { cwd, env });
      printed.push(stdout);
    }
    const withoutTime = (text: string) => text.replaceAll(/\d{14}/g, '<now>');
    expect(withoutTime(printed.join('\n'))).toBe(withoutTime(blocks('text').join('').trimEnd()));
  });

  test('the two commands are scripts of package.json', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    for (const [, script = ''] of readme.matchAll(/^npm ci && npm (?:run )?(\w+)$/gm))
      expect(scripts).toHaveProperty(script);
  });
});

describe('tables', () => {
  test('every option, with its default', () => {
    const rows = new Map(
      table('option').map(([name = '', value = '']) => [name.replaceAll('`', ''), value]),
    );
    expect(() => resolveOptions({ nope: 1 } as TrackingOptions)).toThrow(
      `known are ${[...rows.keys()].join(', ')}`,
    );
    for (const [option, value] of Object.entries(resolveOptions())) {
      const shown = (rows.get(option) ?? '')
        .replaceAll('`', '')
        .replaceAll(/(\d)[,_](?=\d{3})/g, '$1');
      const actual =
        typeof value === 'object'
          ? JSON.stringify(value)
              .replaceAll('"', '')
              .replaceAll(/([:,])/g, '$1 ')
              .replace(/^\{(.*)\}$/, '{ $1 }')
          : String(value);
      expect(shown).toBe(actual);
    }
  });

  test('every error code', () => {
    const codes = readFileSync(join(root, 'src/errors.ts'), 'utf8').matchAll(/\| '(ERR_\w+)'/g);
    expect(
      table('code')
        .map(([code]) => code)
        .sort(),
    ).toEqual([...codes].map(([, code]) => `\`${code}\``).sort());
  });
});

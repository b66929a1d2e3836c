import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkshop, readManifest, ROOT, type Workshop } from './project.ts';

let workshop: Workshop;
let modules: string;

beforeAll(async () => {
  workshop = await openWorkshop();
  modules = join(await workshop.project('alone', [], { peers: false }), 'node_modules');
});
afterAll(() => workshop?.[Symbol.asyncDispose]());

const installed = () => join(modules, 'bullmq-job-status');

describe('what an install brings', () => {
  test('this package and no other', async () => {
    const names = await readdir(modules);
    expect(names.filter((name) => !name.startsWith('.'))).toEqual(['bullmq-job-status']);
  });

  test('no dependency, and nothing that runs at install', () => {
    const { dependencies, optionalDependencies, bundleDependencies, scripts, gypfile } =
      readManifest(installed());
    expect({ dependencies, optionalDependencies, bundleDependencies, gypfile }).toEqual({});
    const atInstall = ['preinstall', 'install', 'postinstall', 'prepare'];
    expect(Object.keys(scripts ?? {}).filter((name) => atInstall.includes(name))).toEqual([]);
  });

  test('BullMQ is a peer; the database clients are peers that may be missing', () => {
    const { peerDependencies, peerDependenciesMeta } = readManifest(installed());
    expect(peerDependencies).toEqual({
      '@supabase/supabase-js': '^2.32.0',
      bullmq: '^5.16.0 || ^6.0.0',
      pg: '^8.0.0',
    });
    expect(peerDependenciesMeta).toEqual({
      '@supabase/supabase-js': { optional: true },
      pg: { optional: true },
    });
  });

  test('the licences of what is bundled, and nothing is bundled without', async () => {
    const licenses = await readFile(join(installed(), 'dist/licenses.txt'), 'utf8');
    const bundled = await Promise.all(
      ['dist/testing.js', 'dist/cli.js'].map((file) => readFile(join(installed(), file), 'utf8')),
    );
    const names = bundled.flatMap((text) =>
      [...text.matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)].map(([, name]) => name!),
    );
    expect([...new Set(names)].toSorted()).toEqual(['commander', 'fast-check', 'pure-rand']);
    for (const name of names) {
      expect(licenses).toContain(
        await readFile(join(ROOT, 'node_modules', name, 'LICENSE'), 'utf8'),
      );
    }
  });

  test('the built files of each entry, and what explains them', async () => {
    const entries = await readdir(installed(), { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(installed().length + 1));
    const built = ['index', 'memory', 'migrations', 'postgres', 'supabase', 'testing'].flatMap(
      (name) => ['cjs', 'd.cts', 'd.ts', 'js'].map((extension) => `dist/${name}.${extension}`),
    );
    const explained = ['dist/licenses.txt', 'LICENSE', 'README.md', 'package.json'];
    const expected = [...built, 'dist/cli.js', ...explained];
    expect(files).toEqual(expect.arrayContaining(expected));
    // Beside them the chunks that entries share, and the changelog from the first release on.
    const shared = /^dist\/[a-z]+-[\w-]{8}\.(?:cjs|js|d\.cts|d\.ts)$|^CHANGELOG\.md$/;
    expect(files.filter((file) => !expected.includes(file) && !shared.test(file))).toEqual([]);
  });
});

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkshop, readManifest, type Workshop } from './project.ts';

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
      '@supabase/supabase-js': '^2.0.0',
      bullmq: '^5.16.0 || ^6.0.0',
      pg: '^8.0.0',
    });
    expect(peerDependenciesMeta).toEqual({
      '@supabase/supabase-js': { optional: true },
      pg: { optional: true },
    });
  });

  test('the built files of each entry, and what explains them', async () => {
    const entries = await readdir(installed(), { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(installed().length + 1));
    const built = ['index', 'memory', 'migrations', 'postgres', 'supabase'].flatMap((name) =>
      ['cjs', 'd.cts', 'd.ts', 'js'].map((extension) => `dist/${name}.${extension}`),
    );
    const expected = [...built, 'dist/cli.js', 'LICENSE', 'README.md', 'package.json'];
    expect(files).toEqual(expect.arrayContaining(expected));
    // Beside them the chunks that entries share, and the changelog from the first release on.
    const shared = /^dist\/[a-z]+-[\w-]{8}\.(?:cjs|js|d\.cts|d\.ts)$|^CHANGELOG\.md$/;
    expect(files.filter((file) => !expected.includes(file) && !shared.test(file))).toEqual([]);
  });
});

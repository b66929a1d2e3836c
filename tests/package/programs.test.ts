import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRedis, type RedisPart } from '../parts/index.ts';
import { manifest, nodes, openWorkshop, ROOT, testedVersion, type Workshop } from './project.ts';

/** The lowest BullMQ of the peer range: what it promises is tried on it. */
const lowest = /\d+\.\d+\.\d+/.exec(manifest.peerDependencies['bullmq'] ?? '')?.[0];
const latest = [`bullmq@${testedVersion('bullmq')}`, `ioredis@${testedVersion('ioredis')}`];

const PROJECTS = [
  { name: 'esm', fixture: 'esm', extension: 'mjs', dependencies: latest },
  { name: 'cjs', fixture: 'cjs', extension: 'cjs', dependencies: latest },
  { name: 'lowest-bullmq', fixture: 'esm', extension: 'mjs', dependencies: [`bullmq@${lowest}`] },
];

/** What each entry exports at run time; `api/` shows the names. */
async function exportsOfEntries(): Promise<Record<string, readonly string[]>> {
  const names = ['.', './memory', './migrations', './postgres', './supabase', './testing'];
  const built = (name: string) => join(ROOT, 'dist', `${name === '.' ? 'index' : name}.js`);
  const modules = names.map(async (name) => {
    const module = (await import(pathToFileURL(built(name)).href)) as object;
    return [name, Object.keys(module).toSorted()] as const;
  });
  return Object.fromEntries(await Promise.all(modules));
}

let workshop: Workshop;
let redis: RedisPart;
const folders = new Map<string, string>();

beforeAll(async () => {
  [workshop, redis] = await Promise.all([openWorkshop(), startRedis()]);
  await Promise.all(
    PROJECTS.map(async ({ name, fixture, dependencies }) => {
      folders.set(name, await workshop.project(name, dependencies, { fixture }));
    }),
  );
});
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
  await workshop?.[Symbol.asyncDispose]();
});

describe.each(PROJECTS)('a fresh project, $name ($dependencies)', ({ name, extension }) => {
  describe.each(nodes())('on $name', ({ path }) => {
    /** Runs a program of the project to its own end: one that has to be stopped fails. */
    async function run(program: string, ...args: string[]): Promise<Record<string, unknown>> {
      const file = join(folders.get(name) as string, `${program}.${extension}`);
      const { stdout } = await execa(path, [file, ...args], {
        cwd: folders.get(name) as string,
        // A bare environment: options meant for the tests' own Node are not for this one.
        env: { NODE_OPTIONS: '', NODE_PATH: '' },
        timeout: 20_000,
      });
      return JSON.parse(stdout) as Record<string, unknown>;
    }

    test('tracks the jobs of a worker', async () => {
      expect(await run('track', JSON.stringify(redis.connection))).toEqual({
        good: {
          status: 'completed',
          attempt: 1,
          result: { pages: 7 },
          metadata: { tenant: 'acme' },
        },
        bad: { status: 'failed', attempt: 2, error: 'no paper', metadata: { tenant: 'acme' } },
        tracked: 2,
        pending: 0,
      });
    });

    test('every entry loads, and loading does nothing else', async () => {
      expect(await run('entries')).toEqual({
        entries: await exportsOfEntries(),
        version: manifest.version,
        newGlobals: [],
        newListeners: [],
        newResources: [],
        // Whatever else lies in the package is not for import.
        inner: 'ERR_PACKAGE_PATH_NOT_EXPORTED',
      });
    });

    test('one class stands behind all entries, and errors are told by their code', async () => {
      const invalid = { isInstance: true, isTypeError: true, code: 'ERR_INVALID_ARGUMENT' };
      expect(await run('errors')).toEqual({
        migrations: invalid,
        supabase: invalid,
        attach: invalid,
        store: { isInstance: true, code: 'ERR_STORE_SETUP' },
        memory: true,
      });
    });
  });
});

import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

/*
 * The package as users get it: packed, and installed into projects that lie outside this repository,
 * so that nothing of `node_modules` here is found by accident.
 */

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export const manifest = readManifest(ROOT);

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** The version of a dependency that this repository's own tests run on. */
export function testedVersion(name: string): string {
  return readManifest(join(ROOT, 'node_modules', name)).version;
}

/** A folder for projects, and the packed package in it. */
export interface Workshop extends AsyncDisposable {
  /**
   * A fresh project with the package and the given dependencies installed.
   *
   * @returns the project's folder
   */
  project(name: string, dependencies: readonly string[], options?: ProjectOptions): Promise<string>;
}

export interface ProjectOptions {
  /** The folder of `projects` to copy into it. */
  readonly fixture?: string;
  /** Whether npm installs the peers that are not optional, as it does. @default true */
  readonly peers?: boolean;
}

export async function openWorkshop(): Promise<Workshop> {
  if (!existsSync(join(ROOT, 'dist/index.d.ts'))) {
    throw new Error('The package is not built: run `npm run build` first');
  }
  const workshop = await mkdtemp(join(tmpdir(), 'job-status-package-'));
  const packed = join(workshop, 'packed');
  await mkdir(packed);
  await npm(ROOT, ['pack', '--ignore-scripts', '--pack-destination', packed]);
  const [tarball] = await readdir(packed);

  return {
    async project(name, dependencies, { fixture, peers = true } = {}) {
      const folder = join(workshop, name);
      await mkdir(folder);
      if (fixture !== undefined) {
        await cp(join(import.meta.dirname, 'projects', fixture), folder, { recursive: true });
      }
      await writeFile(join(folder, 'package.json'), JSON.stringify({ name, private: true }));
      const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
      if (!peers) flags.push('--legacy-peer-deps');
      await npm(folder, ['install', ...flags, join(packed, tarball as string), ...dependencies]);
      return folder;
    },
    [Symbol.asyncDispose]: () => rm(workshop, { recursive: true, force: true }),
  };
}

async function npm(cwd: string, args: readonly string[]): Promise<void> {
  await execa('npm', args, { cwd });
}

/** The Node that runs the tests, and the one that somebody finds who has not installed ours. */
export function nodes(): readonly { readonly name: string; readonly path: string }[] {
  const folders = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes(`${sep}node_modules`));
  const names = process.platform === 'win32' ? ['node.exe'] : ['node'];
  const found = folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(existsSync);
  const own = { name: `the tests' own Node (${process.version})`, path: process.execPath };
  return found === undefined ? [own] : [own, { name: 'the Node on the PATH', path: found }];
}

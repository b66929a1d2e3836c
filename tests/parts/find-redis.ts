import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

/** The Redis or Valkey server on the PATH, if there is one. Installs nothing. */
export function findRedis(): Promise<string | undefined> {
  return findExecutable('redis-server', 'valkey-server');
}

/** The first of these commands that is on the PATH. */
export async function findExecutable(...names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
      const file = join(folder, name);
      const found =
        folder !== '' &&
        (await access(file, constants.X_OK).then(
          () => true,
          () => false,
        ));
      if (found) return file;
    }
  }
  return undefined;
}

/** The line for a person whose machine has no Redis and where we can't install one. */
export function redisInstructions(): string {
  const how =
    process.platform === 'darwin'
      ? 'run `brew install redis`'
      : 'run `sudo apt-get install redis-server` (on macOS `brew install redis`)';
  return `No Redis found: ${how}, or set REDIS_URL to one that is running.`;
}

/**
 * Installs Redis where that needs no question, which is Debian and its kin as root, and returns the
 * server's path; undefined where it can't be done.
 */
export async function installRedis(): Promise<string | undefined> {
  if (process.getuid?.() !== 0 || !(await findExecutable('apt-get'))) return undefined;
  process.stderr.write('No redis-server found: installing it with apt-get.\n');

  // Several test processes may come here at once, and apt-get lets only one in: the others try
  // again, and find what the first has installed.
  for (let attempt = 1; attempt <= 60; attempt += 1) {
    let said = await aptGet('update', '-qq');
    for (const name of ['redis-server', 'valkey-server']) {
      said += await aptGet('install', '-y', '-qq', '--no-install-recommends', name);
      const found = await findRedis();
      if (found) return found;
    }
    if (!/could not get lock|unable to (?:acquire|lock)/i.test(said)) break;
    await sleep(1_000);
  }
  return undefined;
}

/** Runs apt-get to its end, well or not, and returns what it said. */
async function aptGet(...args: readonly string[]): Promise<string> {
  const { all } = await execa('apt-get', args, {
    // Runlevel 1 keeps the package's scripts from starting the system's own Redis service.
    env: { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    reject: false,
    all: true,
    stdin: 'ignore',
  });
  return all;
}

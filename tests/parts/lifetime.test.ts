import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startRedis, supervise } from './index.ts';

// A cold start may have to install Redis, and other test files start parts at the same time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

// Parts of our own, whatever the rest of the run uses.
beforeAll(() => {
  for (const name of ['REDIS_URL', 'DATABASE_URL', 'SUPABASE_URL']) vi.stubEnv(name, undefined);
});
afterAll(() => {
  vi.unstubAllEnvs();
});

describe('parts end with the process that started them', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lifetime-'));
    // Postgres runs as another user where we are root, and must get through.
    await chmod(folder, 0o755);
  });
  // A supervisor whose parent was killed early may still be on its way to finding nothing to do.
  afterEach(() => rm(folder, { recursive: true, maxRetries: 20, retryDelay: 100 }));

  test('when it is killed with SIGKILL', async () => {
    const child = start('wait');
    const pids = await startedPids(child);
    expect(pids.filter(isRunning)).toHaveLength(3);
    expect(await foldersLeft()).toHaveLength(3);
    child.kill('SIGKILL');
    await expectNothingLeft(pids);
  });

  test('when Ctrl-C reaches its whole process group', async () => {
    const child = start('wait');
    const pids = await startedPids(child);
    process.kill(-child.pid!, 'SIGINT');
    await expectNothingLeft(pids);
  });

  test('when it fails', async () => {
    await expectNothingLeft(await startedPids(start('throw')));
  });

  test('when it ends and forgot to stop them, which they do not keep it from', async () => {
    const child = start('forget');
    const pids = await startedPids(child);
    const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
    expect(code).toBe(0);
    await expectNothingLeft(pids);
  });

  test.for([100, 300, 600, 900])('when it is killed %i ms after it began', async (delayMs) => {
    const child = start('wait');
    await once(child.stdout!, 'data');
    await sleep(delayMs);
    child.kill('SIGKILL');
    await expectNothingLeft([]);
  });

  function start(then: 'wait' | 'throw' | 'forget'): ChildProcess {
    const fixture = fileURLToPath(new URL('start-all.fixture.ts', import.meta.url));
    return spawn(process.execPath, [fixture, then], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
      // A folder for temporary files of its own, so that what is left can be told.
      env: { ...process.env, NODE_OPTIONS: '', TMPDIR: folder },
    });
  }

  /** Folders of parts: all but the copy of Postgres' programs, which is kept on purpose. */
  async function foldersLeft(): Promise<string[]> {
    const names = await readdir(folder);
    return names.filter((name) => /^job-status-\w+-[\da-f]{8}-/.test(name));
  }

  async function expectNothingLeft(pids: readonly number[]): Promise<void> {
    const left = async () => ({ pids: pids.filter(isRunning), folders: await foldersLeft() });
    await expect.poll(left, { timeout: 20_000 }).toEqual({ pids: [], folders: [] });
  }
});

describe('a server of ours', () => {
  test('that hangs is stopped all the same', async () => {
    const part = await startRedis();
    process.kill(part.pid!, 'SIGSTOP');
    await part.stop();
    expect(isRunning(part.pid!)).toBe(false);
  });

  test('that was killed is no error when it is stopped, twice', async () => {
    const part = await startRedis();
    process.kill(part.pid!, 'SIGKILL');
    await expect.poll(() => isRunning(part.pid!)).toBe(false);
    await part.stop();
    await part.stop();
  });

  test('that ends before it is ready rejects with its last words', async () => {
    const script = 'console.log("no disk"); process.exit(3)';
    await expect(supervise(process.execPath, ['-e', script], { ready: /ready/ })).rejects.toThrow(
      /ended \(3\):\nno disk/,
    );
  });

  test('that does not exist rejects', async () => {
    await expect(supervise('/no/such/server', [], { ready: /ready/ })).rejects.toThrow('ENOENT');
  });

  test('that is never ready rejects in time', async () => {
    const options = { ready: /ready/, timeoutMs: 300 };
    await expect(
      supervise(process.execPath, ['-e', 'setInterval(() => {}, 1e3)'], options),
    ).rejects.toThrow('was not ready after 300 ms');
  });
});

/** Resolves with the ids of the servers that the fixture has started. */
async function startedPids(child: ChildProcess): Promise<number[]> {
  for await (const line of createInterface({ input: child.stdout! })) {
    if (line.startsWith('[')) return JSON.parse(line) as number[];
  }
  throw new Error('it ended before the parts had started');
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

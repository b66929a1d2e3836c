import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import getPort from 'get-port';

/** A server process that ends with this one, whatever ends this one. */
export interface Supervised extends AsyncDisposable {
  /** The server's own process id, for a test that kills or halts it (SIGSTOP, SIGCONT). */
  readonly pid: number;
  /** A folder of its own, removed when it stops. */
  readonly tempDir: string;
  /** Where its standard output and standard error go. */
  readonly logFile: string;
  /** Stops the server and removes its folder. Safe to call again. */
  stop(this: void): Promise<void>;
}

export interface SuperviseOptions {
  /** Environment of the server. @default process.env */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** User to run as, for servers that refuse root. */
  readonly uid?: number | undefined;
  /** Group to run as. @default uid */
  readonly gid?: number | undefined;
  /** Working directory. @default tempDir */
  readonly cwd?: string | undefined;
  /** Folder that the supervisor makes and removes; it must not exist. @default a new name */
  readonly tempDir?: string | undefined;
  /** @default `server.log` in tempDir */
  readonly logFile?: string | undefined;
  /** Commands to run to their end before the server, with the same user and folder. */
  readonly before?: readonly Command[] | undefined;
  /** What stops this server at once but in good order. @default 'SIGTERM' */
  readonly stopSignal?: NodeJS.Signals | undefined;
  /** Longest wait until it is ready. @default 30_000 */
  readonly timeoutMs?: number | undefined;
  /** Resolves when the server can be used, or what it writes then. */
  readonly ready: RegExp | ((signal: AbortSignal) => Promise<void>);
}

export type Command = readonly [command: string, args: readonly string[]];

/** What the supervisor is told on the first line of its standard input. */
export interface SupervisorTask {
  readonly command: string;
  readonly args: readonly string[];
  readonly before: readonly Command[];
  readonly env: NodeJS.ProcessEnv;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly cwd?: string | undefined;
  readonly tempDir: string;
  readonly logFile: string;
  readonly stopSignal: NodeJS.Signals;
}

/** What the supervisor says: the server's id once, and that it ended if nobody asked it to. */
type Report =
  { readonly pid: number } | { readonly exited: string | number; readonly tail: string };

/** A name for a new folder of temporary files, which nobody has made yet. */
export function newTempDir(kind: string): string {
  return join(tmpdir(), `job-status-${kind}-${randomUUID()}`);
}

/**
 * Starts a server that cannot outlive this process, and resolves when it is ready. A server that
 * ends before that rejects with the last lines it wrote.
 *
 * It holds nothing open: a script that forgets to stop it still ends, and takes it along.
 */
export async function supervise(
  command: string,
  args: readonly string[],
  options: SuperviseOptions,
): Promise<Supervised> {
  const tempDir = options.tempDir ?? newTempDir('server');
  const logFile = options.logFile ?? join(tempDir, 'server.log');
  const { uid, gid, cwd, before = [], env = process.env, stopSignal = 'SIGTERM' } = options;
  const supervisor = spawn(
    process.execPath,
    [fileURLToPath(new URL('supervisor.mjs', import.meta.url))],
    // A test runner's own NODE_OPTIONS (loaders, coverage) are none of the supervisor's business.
    {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, NODE_OPTIONS: '' },
    },
  );
  const exited = once(supervisor, 'exit');
  const files = { cwd, tempDir, logFile };
  const task: SupervisorTask = { command, args, before, env, uid, gid, ...files, stopSignal };
  // The pipe breaks when the supervisor goes first; its `exit` says so already.
  supervisor.stdin.on('error', () => {});
  supervisor.stdin.write(`${JSON.stringify(task)}\n`);

  const stop = async (): Promise<void> => {
    supervisor.ref();
    supervisor.stdin.end();
    await exited;
  };

  const giveUp = new AbortController();
  try {
    const reports = createInterface({ input: supervisor.stdout });
    const started = new Promise<number>((resolve) => {
      reports.on('line', (line) => {
        const report = JSON.parse(line) as Report;
        if ('pid' in report) resolve(report.pid);
      });
    });
    const died = new Promise<never>((_resolve, reject) => {
      reports.on('line', (line) => {
        const report = JSON.parse(line) as Report;
        if ('exited' in report) {
          reject(new Error(`${command} ended (${report.exited}):\n${report.tail}`));
        }
      });
      supervisor.once('exit', () => reject(new Error(`the supervisor of ${command} ended`)));
    });
    // Once it is ready nobody listens, and a test may then kill it on purpose.
    died.catch(() => {});
    const { ready, timeoutMs = 30_000 } = options;
    const isReady = async (): Promise<void> => {
      await started;
      await (ready instanceof RegExp
        ? written(logFile, ready, giveUp.signal)
        : ready(giveUp.signal));
    };
    const tooLate = sleep(timeoutMs, undefined, { signal: giveUp.signal }).then(() => {
      throw new Error(`${command} was not ready after ${timeoutMs} ms`);
    });
    await Promise.race([isReady(), died, tooLate]);
    // From here on only the pipe holds the two together, and not the event loop.
    supervisor.unref();
    for (const pipe of [supervisor.stdin, supervisor.stdout]) unref(pipe);
    return { pid: await started, tempDir, logFile, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    giveUp.abort();
  }
}

/** Child pipes are sockets, whatever their type says, and sockets can be let go of. */
function unref(pipe: unknown): void {
  (pipe as { unref(): void }).unref();
}

/** Resolves when the file holds what is waited for. */
async function written(file: string, expected: RegExp, signal: AbortSignal): Promise<void> {
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (expected.test(text)) return;
    await sleep(10, undefined, { signal });
  }
}

/**
 * Runs `start` with a free port, again with another where somebody else took it in between: several
 * test files look for ports at the same time.
 */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await getPort({ host: '127.0.0.1' });
    try {
      return await start(port);
    } catch (error) {
      if (attempt === 5 || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

import { execa } from 'execa';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Runs the command line from its source, as a process of its own, to that process's own end. */
export async function cli(args: readonly string[], { cwd, env }: CliOptions = {}) {
  const { stdout, stderr, exitCode } = await execa(process.execPath, [MAIN, ...args], {
    ...(cwd !== undefined && { cwd }),
    // The environment of the tests is not the one of a user.
    env: { NODE_OPTIONS: '', DATABASE_URL: undefined, ...env },
    reject: false,
    stripFinalNewline: false,
    timeout: 20_000,
  });
  return { stdout, stderr, exitCode };
}

/** A command that an output says to run, such as "npx bullmq-job-status migrate", in a shell. */
export async function runAsSaid(command: string, { env }: CliOptions = {}) {
  const local = command.replace('npx bullmq-job-status', `'${process.execPath}' '${MAIN}'`);
  return execa('sh', ['-c', local], { env: { NODE_OPTIONS: '', ...env }, timeout: 20_000 });
}

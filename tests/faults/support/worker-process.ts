import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Output } from './output.ts';
import type { Reading, Task } from './tracked-worker.ts';

/** A worker in a process of its own. */
export interface WorkerProcess extends AsyncDisposable {
  /** What happened since the last reading. */
  read(): Promise<Reading>;
  /** As `worker.close()`; resolves once the process has ended. */
  close(): Promise<void>;
}

/** Starts one; what it prints goes to the output. */
export async function startWorkerProcess(task: Task, output: Output): Promise<WorkerProcess> {
  const program = fileURLToPath(new URL('tracked-worker.ts', import.meta.url));
  const child = fork(program, [JSON.stringify(task)], { execArgv: ['--expose-gc'], stdio: 'pipe' });
  const exited = once(child, 'close');
  child.stdout?.on('data', (text: Buffer) => output.addPiece(String(text)));
  child.stderr?.on('data', (text: Buffer) => output.addPiece(String(text)));
  const died = exited.then(() => {
    throw new Error('The worker ended before it was ready');
  });
  await Promise.race([once(child, 'message'), died]);
  died.catch(() => {});
  return {
    async read() {
      const answer = once(child, 'message');
      child.send('read');
      const [reading] = (await answer) as [Reading];
      return reading;
    },
    async close() {
      child.send('close');
      await exited;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

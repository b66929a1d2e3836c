import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { HostOrder, HostReport, HostTask } from './host.ts';
import type { Output } from './output.ts';

/** A worker in a process of its own, as `host.ts` is. */
export interface Host extends AsyncDisposable {
  /** Resolves once it has done what it was told. */
  order(order: HostOrder): Promise<HostReport>;
  /** Ends it; resolves to its exit code, which is 0 where it ended by itself and nothing was unhandled. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
}

/** Starts one; what it prints goes to the output. */
export async function startHost(task: HostTask, output: Output): Promise<Host> {
  const program = fileURLToPath(new URL('host.ts', import.meta.url));
  const child = fork(program, [JSON.stringify(task)], { stdio: 'pipe' });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (text: Buffer) => output.add(String(text)));
  /** What it says next; where it ends instead, as by a rejection that nobody handles, an error. */
  const said = (): Promise<unknown> =>
    Promise.race([
      once(child, 'message').then(([message]) => message),
      exited.then(([code]) => Promise.reject(new Error(`The host ended, with ${code}`))),
    ]);
  await said();
  return {
    async order(order) {
      const answer = said() as Promise<HostReport>;
      child.send(order);
      return answer;
    },
    async kill(signal) {
      // Its end of the channel would hold the process.
      if (child.connected) child.disconnect();
      child.kill(signal);
      return (await exited)[0];
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

// Keeps one server process, for as long as the process that asked for it lives.
//
// Plain JavaScript, run by any Node in a session of its own, so that neither Ctrl-C in a terminal
// nor a signal to the parent's group reaches it. Its standard input is a pipe from the parent: the
// first line says what to run, and when the pipe closes, whether the parent let go of it, threw,
// or was killed with SIGKILL, the kernel tells us here and everything is cleaned up. There is no
// second way to stop, so the one for crashes is the one that every run tests.
//
// On standard output it reports, one JSON object a line: `{ pid }` of the server it started, then
// `{ exited, tail }` if the server ended without being asked to.

import { spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** How long a server may take to stop on its own signal before it gets SIGKILL. */
const GRACE_MS = 3_000;

/** @type {import('./supervise.ts').SupervisorTask | undefined} */
let task;
/** @type {import('node:child_process').ChildProcess} */
let server;
let stopping = false;

// A parent that is gone cannot read our reports: that is no reason to crash before the clean-up.
process.stdout.on('error', () => {});

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => run(JSON.parse(line)).catch(fail));
lines.once('close', stop);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, stop);

/** @param {import('./supervise.ts').SupervisorTask} given */
async function run(given) {
  task = given;
  // Made here and not by the parent: then there is no moment in which it could outlive both.
  mkdirSync(task.tempDir, { mode: 0o700 });
  if (task.uid !== undefined) chownSync(task.tempDir, task.uid, task.gid ?? task.uid);

  for (const [command, args] of task.before) {
    if (stopping) return;
    const { code } = await start(command, args);
    if (code !== 0) throw new Error(`${command} ended with ${code}`);
  }
  if (stopping) return;
  const ended = start(task.command, task.args);
  report({ pid: server?.pid });
  const { code, signal } = await ended;
  if (!stopping) report({ exited: signal ?? code, tail: tail() });
}

/**
 * Starts a command in a process group of its own, writing to the log, and resolves when it ends.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Promise<{ code: number | null, signal: string | null }>}
 */
function start(command, args) {
  // A file rather than a pipe: a server that logs a lot must never wait for a reader.
  const log = openSync(task.logFile, 'a');
  server = spawn(command, args, {
    cwd: task.cwd ?? task.tempDir,
    env: task.env,
    uid: task.uid,
    gid: task.gid,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

function stop() {
  if (stopping) return;
  stopping = true;
  if (!server || server.exitCode !== null || server.signalCode !== null || !server.pid) leave();
  server.once('exit', leave);
  server.kill(task.stopSignal);
  setTimeout(() => {
    // The whole group: a server that hangs may have children of its own.
    try {
      process.kill(-server.pid, 'SIGKILL');
    } catch {
      // It ended in this very moment; `exit` is on its way.
    }
  }, GRACE_MS);
}

/** @returns {never} */
function leave() {
  // Retried, as the last child of a killed server may still be writing.
  if (task) rmSync(task.tempDir, { recursive: true, force: true, maxRetries: 10 });
  process.exit();
}

/** @param {unknown} error */
function fail(error) {
  if (!stopping) report({ exited: String(error), tail: tail() });
}

/** The last lines the server wrote: its own words for why it would not start. */
function tail() {
  try {
    return readFileSync(task.logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
  } catch {
    return '';
  }
}

/** @param {object} message */
function report(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

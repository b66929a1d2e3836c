#!/usr/bin/env node
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { codeOf, messageOf } from '../errors.ts';
import { addCheck } from './check.ts';
import { addInit } from './init.ts';
import { addMigrate } from './migrate.ts';
import { addReconcile } from './reconcile.ts';
import { addVerify } from './verify.ts';

// By its own name, so that it is found from the source and from the built file alike.
const manifest = createRequire(import.meta.url)('bullmq-job-status/package.json') as {
  readonly version: string;
};

const program = new Command('bullmq-job-status')
  .description(
    'Sets up, upgrades and checks the table that BullMQ job statuses are kept in, holds it against the queue, and tests stores of your own.',
  )
  .version(manifest.version, '-v, --version', 'display the version')
  .showHelpAfterError('(--help says what it takes)')
  .configureOutput({ outputError: (text, write) => write(withoutUrls(text)) })
  // It would end the process before what was printed has left it.
  .exitOverride();
for (const add of [addInit, addMigrate, addCheck, addReconcile, addVerify]) add(program);

// A reader that has seen enough, as `head` has, is no failure; a full disk is.
process.stdout.on('error', (error) => {
  if (codeOf(error) !== 'EPIPE') report(error);
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else report(error);
}

function report(error: unknown): void {
  console.error(withoutUrls(`error: ${messageOf(error)}`));
  process.exitCode = 1;
}

/** An error that quotes an argument, without the connection string that may be in it. */
function withoutUrls(text: string): string {
  const urls = process.argv.map((argument) => /\w+:\/\/.*/s.exec(argument)?.[0]);
  return urls.reduce((rest: string, url) => (url ? rest.replaceAll(url, '…') : rest), text);
}

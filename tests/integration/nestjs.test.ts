import { Queue } from 'bullmq';
import { cancelJob } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { broken } from '../../src/testing/law.ts';
import { openPool } from '../support/pool.ts';
import { onTestParts, ROOT, runProgram, scratchFolder } from '../support/programs.ts';

/* The application in `examples/nestjs`, compiled as Nest's are, as a process. */

const example = join(ROOT, 'examples/nestjs');
const compiled = scratchFolder('nestjs');

const pool = openPool(inject('parts').connectionString);
const store = new PostgresStatusStore(pool);
const suffix = randomUUID();
const name = `exports-${suffix}`;
const queue = new Queue(name, { connection: inject('parts').redis });

beforeAll(() => {
  const config = JSON.parse(readFileSync(join(example, 'tsconfig.json'), 'utf8')) as {
    compilerOptions: object;
  };
  const { options } = ts.convertCompilerOptionsFromJson(
    { target: 'es2023', module: 'esnext', ...config.compilerOptions },
    example,
  );
  for (const file of readdirSync(example).filter((each) => each.endsWith('.ts'))) {
    const code = onTestParts(readFileSync(join(example, file), 'utf8'), suffix);
    const { outputText } = ts.transpileModule(code, { compilerOptions: options });
    writeFileSync(join(compiled, file.replace(/\.ts$/, '.js')), outputText);
  }
});
afterAll(async () => {
  await queue.obliterate({ force: true });
  await queue.close();
  await pool.end();
});

const run = (program: string) => runProgram(join(compiled, program));
const row = (jobId: string) => store.get({ queue: name, jobId });
async function becomes(jobId: string, expected: object): Promise<void> {
  await expect.poll(() => row(jobId), { timeout: 15_000, interval: 20 }).toMatchObject(expected);
}

test('jobs are tracked from the moment they are added until they end, and cancelled from elsewhere', async () => {
  const app = run('main.js');
  const { id: later = '' } = await queue.add(
    'export',
    { file: 'later', pages: 1 },
    { delay: 3_600_000 },
  );
  await becomes(later, { status: 'delayed', attempt: 0 });

  const { id: orders = '' } = await queue.add('export', { file: 'orders', pages: 3 });
  await becomes(orders, { status: 'completed', progress: 3, result: 'orders.csv', attempt: 1 });

  const { id: long = '' } = await queue.add('export', { file: 'long', pages: 1_000 });
  await becomes(long, { status: 'active' });
  expect(await cancelJob(queue, store, long, { by: 'ann', reason: 'no more' })).toBe('requested');
  await becomes(long, {
    status: 'cancelled',
    cancellation: { by: 'ann' },
    error: { message: 'Cancelled: no more' },
  });

  // Nest ends the process by the signal that it got, once all has been closed.
  const { id: last = '' } = await queue.add('export', { file: 'last', pages: 40 });
  await becomes(last, { status: 'active' });
  app.kill('SIGTERM');
  await expect(app).rejects.toMatchObject({ signal: 'SIGTERM', stderr: '' });
  expect(await row(last)).toMatchObject({ status: 'completed', result: 'last.csv' });
  for (const id of [later, orders, long, last]) expect(broken((await row(id))!)).toEqual([]);
});

test('app.close() stores every row, and holds nothing open', async () => {
  writeFileSync(
    join(compiled, 'driver.js'),
    `import { NestFactory } from '@nestjs/core';
    import { AppModule } from './app.module.js';
    import { ExportsService } from './exports.service.js';
    const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
    const service = app.get(ExportsService);
    const ids = await Promise.all(Array.from({ length: 5 }, () => service.add({ file: 'f', pages: 40 })));
    while ((await service.status(ids[4]))?.status !== 'active');
    await app.close();
    console.log(ids.join());`,
  );
  const { stdout, stderr } = await run('driver.js');
  expect(stderr).toBe('');
  const statuses = await Promise.all(stdout.split(',').map(async (id) => (await row(id))?.status));
  expect(statuses).toEqual(Array.from({ length: 5 }, () => 'completed'));
});

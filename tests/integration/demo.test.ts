import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startRedis } from '../parts/index.ts';

// The demo as a newcomer runs it, against the built package.

const DEMO = fileURLToPath(new URL('../../examples/demo/main.ts', import.meta.url));
const TIMEOUT_MS = 90_000;

test.concurrent(
  'the demo runs on the Redis that is on the PATH',
  { timeout: TIMEOUT_MS },
  async () => {
    // Installs Redis where it is missing; the demo itself installs nothing.
    await using redis = await startRedis();
    const { output } = await runDemo({});
    expectAllRight(output, `  BullMQ on ${redis.version}, `);
  },
);

test.concurrent(
  'the demo runs on the Redis of REDIS_URL and leaves nothing in it',
  { timeout: TIMEOUT_MS },
  async () => {
    await using redis = await startRedis();
    const { output, pid } = await runDemo({ REDIS_URL: redis.url });
    expectAllRight(output, `  BullMQ on ${redis.version}, the one of REDIS_URL`);
    const client = new Redis(redis.connection);
    expect(await client.keys(`demo-${pid}*`)).toEqual([]);
    client.disconnect();
  },
);

test.concurrent('the demo runs with no Redis at all', { timeout: TIMEOUT_MS }, async () => {
  const { output } = await runDemo({ PATH: '/nowhere', REDIS_URL: '' });
  expectAllRight(output, '  BullMQ on its Postgres backend, ');
});

/** What the demo wrote; rejects where it ended with any other code than 0. */
async function runDemo(env: Readonly<Record<string, string>>) {
  const demo = execa(process.execPath, [DEMO], {
    all: true,
    stdin: 'ignore',
    // A test runner's own options are not the demo's.
    env: { NODE_OPTIONS: '', ...env },
  });
  return { output: (await demo).all, pid: demo.pid };
}

function expectAllRight(output: string, home: string): void {
  expect(output).toContain(home);
  expect(output).toMatch(/^ +every row right: (\d+) of \1$/m);
  expect(output).toMatch(/^ +rows that break the time law: 0$/m);
  expect(output).toMatch(/^ +constraints violated, by Postgres' log: 0$/m);
  // The tracker's own warnings would stand here too.
  expect(output).not.toMatch(/warning|error:/i);
  const widest = Math.max(...output.split('\n').map((line) => line.length));
  expect(widest).toBeLessThanOrEqual(80);
}

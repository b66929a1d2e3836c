import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import type { Parts } from '../../tests/parts/index.ts';

/** What the figures were measured on. */
export function describeMachine({ postgres, redis }: Parts): Readonly<Record<string, string>> {
  return {
    cpu: `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown CPU'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    node: process.version,
    postgres: postgres.version,
    redis: redis.version,
  };
}

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createBatcher } from '../../src/batcher.ts';
import { resolveOptions } from '../../src/options.ts';
import { round, type Findings } from '../harness/figures.ts';
import type { Bench } from '../harness/parts.ts';
import { livesOf } from '../harness/updates.ts';

/** What a job costs in memory while the store is away. */
export async function measurePending(bench: Bench): Promise<Findings> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const jobs = bench.pick(100_000, 20_000);
  const batcher = createBatcher(
    { write: () => new Promise(() => {}), get: async () => undefined },
    { ...resolveOptions(), maxPending: jobs },
    () => {},
  );
  collect();
  const before = process.memoryUsage().heapUsed;
  // Made one by one, as they are in life, so that only what waits is kept.
  for (let at = 0; at < jobs; at += 100) {
    const [, ended = []] = livesOf(at, 100);
    for (const update of ended) batcher.take({ ...update, metadata: null });
  }
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / jobs;
  const { pending } = batcher.stats();
  batcher.end();
  return {
    figures: [
      {
        what: 'heap for a pending update',
        value: round(bytes / 1_000),
        unit: 'kB',
        target: { most: 1 },
      },
    ],
    grids: [
      {
        title: 'Ends that wait for a store that never answers, no result',
        head: ['waiting', 'heap bytes each'],
        rows: [[pending, Math.round(bytes)]],
      },
    ],
  };
}

import type { Job } from 'bullmq';
import { attachStatusTracking } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { inject } from 'vitest';
import { openPool } from '../../support/pool.ts';
import { Output } from './output.ts';
import { openOwnRedis } from './own-redis.ts';
import { countRepeats } from './repeats.ts';

/** Of locks that are soon given up, so that jobs whose worker is cut off are run again within the test. */
export const SHORT_LOCKS = { lockDuration: 1_500, stalledInterval: 300, maxStalledCount: 50 };

/** A queue in a Redis of its own, with rows in Postgres and two tracked workers. */
export async function openRedisStage(process: (job: Job) => Promise<unknown>) {
  const stack = new AsyncDisposableStack();
  const output = new Output();
  const pool = openPool(inject('parts').connectionString);
  stack.defer(() => pool.end());
  const redis = stack.use(await openOwnRedis(output));
  const store = new PostgresStatusStore(pool);
  const workers = [1, 2].map(() => redis.worker(process, { concurrency: 10, ...SHORT_LOCKS }));
  const trackers = workers.map((worker) =>
    attachStatusTracking(worker, store, { onError: output.onError, logger: output.logger }),
  );
  const repeats = workers.map(countRepeats);
  return {
    ...redis,
    output,
    store,
    workers,
    run: () => workers.forEach((worker) => void worker.run()),
    lost: () => trackers.map((each) => each.stats()).reduce((n, s) => n + s.dropped + s.refused, 0),
    repeats: () => repeats.reduce((n, each) => n + each(), 0),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

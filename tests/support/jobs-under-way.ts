import { Queue, Worker } from 'bullmq';
import { attachStatusTracking } from 'bullmq-job-status';
import type { StatusStore } from '../../src/store.ts';
import type { RedisConnection } from '../parts/index.ts';
import { ALICE, ORGANIZATION, OTHER } from './old-table.ts';

/* Jobs that have started when their table is adopted, and end after it. */

/** What jobs under way do once they are let go, and how their old rows lie about them, in ms against their true times. */
export const UNDER_WAY: Readonly<
  Record<string, { ends: string; was: string; createdOff: number; startedOff: number | null }>
> = {
  'half-completes': { ends: 'completed', was: 'active', createdOff: 300, startedOff: 320 },
  'half-completes-2': { ends: 'completed', was: 'active', createdOff: -300, startedOff: -20 },
  'half-completes-3': { ends: 'completed', was: 'active', createdOff: 0, startedOff: null },
  'half-from-the-future': {
    ends: 'completed',
    was: 'active',
    createdOff: 600_000,
    startedOff: 600_020,
  },
  'half-fails': { ends: 'failed', was: 'active', createdOff: 300, startedOff: 320 },
  'half-is-tried-again': { ends: 'retried', was: 'active', createdOff: 300, startedOff: 320 },
  'half-said-completed': {
    ends: 'completed',
    was: 'completed',
    createdOff: 300,
    startedOff: 310,
  },
  'half-not-started': { ends: 'completed', was: 'pending', createdOff: 300, startedOff: null },
};

/** Starts them, tracked into a store; each but the last is active when this resolves. */
export async function startJobsUnderWay(connection: RedisConnection, store: StatusStore) {
  const told = new Set<string>();
  const queue = new Queue('exports', { connection });
  const gate = Promise.withResolvers<void>();
  const ids = { organizationId: ORGANIZATION, courseId: OTHER, userId: ALICE };
  const process = async ({
    id = '',
    attemptsMade,
  }: {
    id?: string | undefined;
    attemptsMade: number;
  }) => {
    await gate.promise;
    const { ends } = UNDER_WAY[id] ?? {};
    if (ends === 'failed' || (ends === 'retried' && attemptsMade === 0)) throw new Error('no disk');
    return { done: true };
  };
  // As many at once as have started in the old table: the last job waits.
  const jobs = Object.keys(UNDER_WAY);
  const worker = new Worker('exports', process, {
    connection,
    autorun: false,
    concurrency: jobs.length - 1,
  });
  worker.on('error', () => {});
  attachStatusTracking(worker, store, {
    metadata: () => ids,
    backoff: { minMs: 10, maxMs: 50 },
    onError: ({ code }, updates) => void (updates.length > 0 && told.add(code)),
  });
  let active = 0;
  const started = new Promise<void>((resolve) => {
    worker.on('active', () => ++active === jobs.length - 1 && resolve());
  });
  let left = jobs.length;
  const ended = new Promise<void>((resolve) => {
    const one = () => --left === 0 && resolve();
    worker.on('completed', one);
    worker.on('failed', (job) => void (job?.finishedOn && one()));
  });
  const added = await queue.addBulk(
    jobs.map((jobId) => ({
      name: 'export',
      data: {},
      opts: { jobId, attempts: UNDER_WAY[jobId]?.ends === 'retried' ? 2 : 1 },
    })),
  );
  void worker.run();
  await started;
  const oldRows = added.map(({ id = '', timestamp }) => {
    const { was, createdOff, startedOff } = UNDER_WAY[id]!;
    const at = (ms: number | null) =>
      ms === null ? 'null' : `to_timestamp(${(timestamp + ms) / 1_000})`;
    const completed = was === 'completed' ? at(400) : 'null';
    return `insert into job_status (job_id, status, created_at, started_at, completed_at, organization_id)
        values ('${id}', '${was}', ${at(createdOff)}, ${at(startedOff)}, ${completed}, '${ORGANIZATION}');
      insert into job_notes select id, 'under way' from job_status where job_id = '${id}';`;
  });

  return {
    /** What the old table says of them, each with a note that refers to it. */
    oldRowsSql: oldRows.join('\n'),
    /** The codes of the writes that failed. */
    told: told as ReadonlySet<string>,
    /** Lets them go, and resolves when all have ended and every row is stored. */
    async finish(): Promise<void> {
      gate.resolve();
      await ended;
      await worker.close();
      await queue.close();
    },
  };
}

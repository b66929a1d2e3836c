import { Queue, Worker } from 'bullmq';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Peer } from '../peers/peer.ts';
import { median } from './figures.ts';
import type { Bench } from './parts.ts';

/** Jobs that one worker runs as fast as it can. */
export interface Load {
  readonly jobs: number;
  /** How long each takes, in ms. */
  readonly jobMs: number;
  readonly concurrency: number;
}

export interface Run {
  readonly jobsPerSecond: number;
  /** Of this process, which runs the worker, until every row was stored. */
  readonly cpuMicrosPerJob: number;
  readonly requestsPerJob: number;
  /** From the end of the last job until all that was begun had ended. */
  readonly settledMs: number;
  /** Jobs that have no row that says that they completed; `NaN` where no rows are kept. */
  readonly wrong: number;
}

/** Runs a load once, with its rows kept by a peer. */
export async function runLoad(bench: Bench, peer: Peer, load: Load): Promise<Run> {
  const { connection } = bench.parts.redis;
  const { jobs, jobMs, concurrency } = load;
  const name = `bench-${randomUUID()}`;
  const queue = new Queue(name, { connection });
  await addJobs(queue, jobs);
  const processJob = jobMs === 0 ? async () => {} : () => sleep(jobMs);
  const worker = new Worker(name, processJob, { connection, concurrency, autorun: false });
  const keeping = await peer.attach(worker);
  await worker.waitUntilReady();

  const requestsBefore = await bench.parts.supabase.requests();
  const allEnded = new Promise<void>((resolve) => {
    let left = jobs;
    worker.on('completed', () => --left === 0 && resolve());
  });
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  void worker.run();
  await allEnded;
  const end = performance.now();
  await keeping.settled();
  const settledMs = performance.now() - end;
  const { user, system } = process.cpuUsage(cpuBefore);
  const requestsPerJob = ((await bench.parts.supabase.requests()) - requestsBefore) / jobs;

  const wrong = jobs - (await keeping.right(name));
  await keeping.close?.();
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();
  const jobsPerSecond = (jobs / (end - start)) * 1_000;
  return {
    jobsPerSecond,
    cpuMicrosPerJob: (user + system) / jobs,
    requestsPerJob,
    settledMs,
    wrong,
  };
}

/** The same load by each peer in turn, round after round, so that a machine that drifts is fair to all. */
export async function runInTurn(
  bench: Bench,
  peers: readonly Peer[],
  load: Load,
  rounds: number,
): Promise<ReadonlyMap<Peer, readonly Run[]>> {
  const runs = new Map<Peer, Run[]>(peers.map((peer) => [peer, []]));
  // Warms connections, plans and the JIT, so that the first in turn is at no disadvantage.
  for (const peer of peers)
    await runLoad(bench, peer, { ...load, jobs: Math.min(load.jobs, 1_000) });
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) runs.get(peer)?.push(await runLoad(bench, peer, load));
  }
  return runs;
}

/** The median over the rounds of what a run says, held against the untracked run of its round where that is asked. */
export function medianOf(
  runs: readonly Run[],
  value: (run: Run, untracked: Run) => number,
  untracked: readonly Run[] = runs,
): number {
  return median(runs.map((run, round) => value(run, untracked[round] ?? run)));
}

export async function addJobs(queue: Queue, jobs: number): Promise<void> {
  for (let at = 0; at < jobs; at += 1_000) {
    const size = Math.min(1_000, jobs - at);
    await queue.addBulk(
      Array.from({ length: size }, () => ({
        name: 'job',
        data: {},
        opts: { removeOnComplete: true },
      })),
    );
  }
}

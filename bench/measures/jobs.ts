import { bareUpsertStore, countBare } from '../peers/bare-upsert.ts';
import { tracked, untracked } from '../peers/peer.ts';
import { round, type Figure, type Findings } from '../harness/figures.ts';
import { medianOf, runInTurn } from '../harness/load.ts';
import { storesOf, type Bench } from '../harness/parts.ts';

const CONCURRENCY = 50;

/** What tracking costs a worker: its jobs a second, its CPU time, the requests. */
export async function measureJobs(bench: Bench): Promise<Findings> {
  const stores = storesOf(bench);
  const peers = [
    untracked,
    ...Object.entries(stores).map(([name, store]) => tracked(name, store)),
    tracked('bare bulk upsert (Postgres)', await bareUpsertStore(bench.pool), (queue) =>
      countBare(bench.pool, queue),
    ),
  ];
  const loads = [
    {
      jobMs: 0,
      jobs: bench.pick(20_000, 5_000),
      least: { memory: 0.93, Postgres: 0.7, Supabase: 0.6 },
    },
    { jobMs: 5, jobs: bench.pick(10_000, 3_000), least: { Postgres: 0.95, Supabase: 0.9 } },
    { jobMs: 20, jobs: bench.pick(5_000, 2_000), least: { Postgres: 0.99, Supabase: 0.99 } },
  ];
  const mostCpuAdded: Readonly<Record<string, number>> = { memory: 6, Supabase: 15 };
  const figures: Figure[] = [];
  const rows: (string | number)[][] = [];
  for (const { jobMs, jobs, least } of loads) {
    const what = jobMs === 0 ? 'no-op jobs' : `jobs of ${jobMs} ms`;
    const load = { jobs, jobMs, concurrency: CONCURRENCY };
    const runs = await runInTurn(bench, peers, load, bench.pick(7, 3));
    const base = runs.get(untracked) ?? [];
    for (const [{ name }, ofPeer] of runs) {
      const kept = medianOf(ofPeer, (run, alone) => run.jobsPerSecond / alone.jobsPerSecond, base);
      const added = medianOf(
        ofPeer,
        (run, alone) => run.cpuMicrosPerJob - alone.cpuMicrosPerJob,
        base,
      );
      const requests = medianOf(ofPeer, ({ requestsPerJob }) => requestsPerJob);
      rows.push([
        what,
        name,
        Math.round(medianOf(ofPeer, ({ jobsPerSecond }) => jobsPerSecond)),
        name === 'untracked' ? '' : kept.toFixed(3),
        medianOf(ofPeer, ({ cpuMicrosPerJob }) => cpuMicrosPerJob).toFixed(1),
        name === 'untracked' ? '' : added.toFixed(1),
        requests.toFixed(4),
        name === 'untracked' ? '' : Math.round(medianOf(ofPeer, ({ settledMs }) => settledMs)),
        name === 'untracked' ? '' : medianOf(ofPeer, ({ wrong }) => wrong),
      ]);
      const target = least[name as keyof typeof least];
      if (target !== undefined)
        figures.push({
          what: `${what}, kept, ${name}`,
          value: round(kept),
          target: { least: target },
        });
      const mostCpu = mostCpuAdded[name];
      // Not in a short run, whose code is not warm yet.
      if (jobMs === 0 && mostCpu !== undefined && !bench.isShort)
        figures.push({
          what: `CPU added a job, ${name}`,
          value: round(added),
          unit: 'µs',
          target: { most: mostCpu },
        });
      if (jobMs === 0 && name === 'Supabase')
        figures.push({
          what: 'requests a job, full load',
          value: round(requests),
          target: { most: 0.005 },
        });
    }
  }
  const head = [
    'jobs',
    'rows kept by',
    'jobs/s',
    'kept',
    'CPU µs',
    'added',
    'requests a job',
    'true after ms',
    'wrong',
  ];
  const title = `One worker, concurrency ${CONCURRENCY}: medians of rounds in turn; CPU is the worker's process alone`;
  return { figures, grids: [{ title, head, rows }] };
}

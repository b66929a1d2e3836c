import { bareUpsertStore, countBare } from '../peers/bare-upsert.ts';
import { tracked, untracked } from '../peers/peer.ts';
import { round, type Figure, type Findings } from '../harness/figures.ts';
import { medianOf, runInTurn } from '../harness/load.ts';
import { storesOf, type Bench } from '../harness/parts.ts';

const CONCURRENCY = 50;

type ByStore = Readonly<Record<string, number>>;

/** Jobs of one kind, and what must be reached with them. */
interface Load {
  readonly what: string;
  readonly jobMs: number;
  readonly jobs: number;
  readonly leastKept: ByStore;
  readonly mostCpuAdded?: ByStore;
  readonly mostRequests?: ByStore;
}

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
  const loads: Load[] = [
    {
      what: 'no-op jobs',
      jobMs: 0,
      jobs: bench.pick(20_000, 5_000),
      leastKept: { memory: 0.93, Postgres: 0.7, Supabase: 0.6 },
      // The code of a short run is not warm yet.
      mostCpuAdded: bench.pick({ memory: 6, Supabase: 15 }, {}),
      mostRequests: { Supabase: 0.005 },
    },
    {
      what: 'jobs of 5 ms',
      jobMs: 5,
      jobs: bench.pick(10_000, 3_000),
      leastKept: { Postgres: 0.95, Supabase: 0.9 },
    },
    {
      what: 'jobs of 20 ms',
      jobMs: 20,
      jobs: bench.pick(5_000, 2_000),
      leastKept: { Postgres: 0.99, Supabase: 0.99 },
    },
  ];
  const figures: Figure[] = [];
  const rows: (string | number)[][] = [];
  for (const { what, jobMs, jobs, leastKept, mostCpuAdded, mostRequests } of loads) {
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
      const least = leastKept[name];
      if (least !== undefined)
        figures.push({ what: `${what}, kept, ${name}`, value: round(kept), target: { least } });
      const mostCpu = mostCpuAdded?.[name];
      if (mostCpu !== undefined)
        figures.push({
          what: `${what}, CPU added a job, ${name}`,
          value: round(added),
          unit: 'µs',
          target: { most: mostCpu },
        });
      const most = mostRequests?.[name];
      if (most !== undefined)
        figures.push({
          what: `${what}, requests a job, ${name}`,
          value: round(requests),
          target: { most },
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

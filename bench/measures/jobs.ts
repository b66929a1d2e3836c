import { bareUpsertStore, countBare } from '../peers/bare-upsert.ts';
import { tracked, untracked } from '../peers/peer.ts';
import { round, type Figure, type Findings } from '../harness/figures.ts';
import { medianOf, runInTurn, type Run } from '../harness/load.ts';
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
  for (const load of loads) {
    const { jobs, jobMs } = load;
    const runs = await runInTurn(
      bench,
      peers,
      { jobs, jobMs, concurrency: CONCURRENCY },
      bench.pick(7, 3),
    );
    for (const [{ name }, ofPeer] of runs) {
      const cost = costOf(ofPeer, runs.get(untracked) ?? []);
      rows.push([load.what, name, ...(name === untracked.name ? unheld(cost) : held(cost))]);
      figures.push(...figuresOf(load, name, cost));
    }
  }
  const head = [
    'jobs',
    'rows kept by',
    'jobs/s',
    'CPU µs',
    'kept',
    'added',
    'requests a job',
    'true after ms',
    'wrong',
  ];
  const title = `One worker, concurrency ${CONCURRENCY}: medians of rounds in turn; CPU is the worker's process alone`;
  return { figures, grids: [{ title, head, rows }] };
}

/** Medians over the rounds; what is kept and added is held against the untracked run of the same round. */
function costOf(runs: readonly Run[], base: readonly Run[]) {
  return {
    jobsPerSecond: medianOf(runs, (run) => run.jobsPerSecond),
    cpu: medianOf(runs, (run) => run.cpuMicrosPerJob),
    kept: medianOf(runs, (run, alone) => run.jobsPerSecond / alone.jobsPerSecond, base),
    cpuAdded: medianOf(runs, (run, alone) => run.cpuMicrosPerJob - alone.cpuMicrosPerJob, base),
    requests: medianOf(runs, (run) => run.requestsPerJob),
    settledMs: medianOf(runs, (run) => run.settledMs),
    wrong: medianOf(runs, (run) => run.wrong),
  };
}

type Cost = ReturnType<typeof costOf>;

function unheld({ jobsPerSecond, cpu }: Cost): (string | number)[] {
  return [Math.round(jobsPerSecond), cpu.toFixed(1)];
}

function held(cost: Cost): (string | number)[] {
  const { kept, cpuAdded, requests, settledMs, wrong } = cost;
  return [
    ...unheld(cost),
    kept.toFixed(3),
    cpuAdded.toFixed(1),
    requests.toFixed(4),
    Math.round(settledMs),
    wrong,
  ];
}

function figuresOf(load: Load, name: string, { kept, cpuAdded, requests }: Cost): Figure[] {
  const { what, leastKept, mostCpuAdded, mostRequests } = load;
  const figures: Figure[] = [];
  const least = leastKept[name];
  if (least !== undefined)
    figures.push({ what: `${what}, kept, ${name}`, value: round(kept), target: { least } });
  const cpu = mostCpuAdded?.[name];
  if (cpu !== undefined) {
    const added = { value: round(cpuAdded), unit: 'µs', target: { most: cpu } };
    figures.push({ what: `${what}, CPU added a job, ${name}`, ...added });
  }
  const most = mostRequests?.[name];
  if (most !== undefined)
    figures.push({
      what: `${what}, requests a job, ${name}`,
      value: round(requests),
      target: { most },
    });
  return figures;
}

import { delaysAndReads } from '../peers/delays-and-reads.ts';
import { tracked, untracked } from '../peers/peer.ts';
import { queueEvents } from '../peers/queue-events.ts';
import { upsertByPool, upsertBySupabase, upsertEachEvent } from '../peers/upsert-each-event.ts';
import { round, type Findings } from '../harness/figures.ts';
import { medianOf, runInTurn } from '../harness/load.ts';
import { storesOf, type Bench } from '../harness/parts.ts';

/** Against everything that people write by hand instead. */
export async function measurePeers(bench: Bench): Promise<Findings> {
  const { pool, supabase, parts } = bench;
  const { Postgres, Supabase } = storesOf(bench);
  const bySupabase = upsertBySupabase(supabase);
  const upsert = upsertEachEvent('upsert for each event (Supabase)', pool, bySupabase);
  const ours = tracked('this package (Supabase)', Supabase!);
  const peers = [
    untracked,
    ours,
    tracked('this package (Postgres)', Postgres!),
    upsert,
    upsertEachEvent('upsert for each event (Postgres)', pool, upsertByPool(pool)),
    queueEvents(parts.redis.connection, pool, bySupabase),
    delaysAndReads(supabase, pool),
  ];
  const load = { jobs: 2_000, jobMs: 0, concurrency: 50 };
  const runs = await runInTurn(bench, peers, load, 3);
  const rows = [...runs].map(([{ name }, ofPeer]) => [
    name,
    Math.round(medianOf(ofPeer, ({ jobsPerSecond }) => jobsPerSecond)),
    medianOf(ofPeer, ({ requestsPerJob }) => requestsPerJob).toFixed(3),
    name === 'untracked' ? '' : (medianOf(ofPeer, ({ settledMs }) => settledMs) / 1_000).toFixed(2),
    name === 'untracked' ? '' : medianOf(ofPeer, ({ wrong }) => wrong),
  ]);
  const times = medianOf(
    runs.get(ours) ?? [],
    (run, byHand) => run.jobsPerSecond / byHand.jobsPerSecond,
    runs.get(upsert),
  );
  return {
    figures: [
      { what: 'jobs/s of the upsert by hand, times', value: round(times), target: { least: 5 } },
    ],
    grids: [
      {
        title: `${load.jobs} no-op jobs at concurrency ${load.concurrency}, medians of 3 rounds in turn`,
        head: [
          'rows kept by',
          'jobs/s',
          'requests a job',
          'settled after s',
          'rows wrong for ever',
        ],
        rows,
      },
    ],
  };
}

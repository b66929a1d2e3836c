import type { StatusStore, StatusUpdate } from 'bullmq-job-status';
import { execaNode } from 'execa';
import { fileURLToPath } from 'node:url';
import { bareUpsertStore } from '../peers/bare-upsert.ts';
import { median, type Findings, type Growth } from '../harness/figures.ts';
import { storesOf, type Bench } from '../harness/parts.ts';
import { batchesOf, livesOf } from '../harness/updates.ts';

/** How the cost of writing grows: by the size of a batch, by how many processes write, by the size of a result. */
export async function measureGrowth(bench: Bench): Promise<Findings> {
  const growth = [await byBatchSize(bench), await byProcesses(bench), await byPayload(bench)];
  const grids = growth.map(({ title, x, at, lines }) => ({
    title: `${title}: rows a second`,
    head: [x, ...Object.keys(lines)],
    rows: at.map((place, index) => [
      place,
      ...Object.values(lines).map((line) => Math.round(line[index] ?? NaN)),
    ]),
  }));
  return { figures: [], grids, growth };
}

async function writersOf(bench: Bench): Promise<Record<string, StatusStore>> {
  const { Postgres, Supabase } = storesOf(bench);
  return {
    'bare bulk upsert': await bareUpsertStore(bench.pool),
    Postgres: Postgres!,
    Supabase: Supabase!,
  };
}

let first = 1_000_000_000;

/** Rows a second of writes of so many, each writer in turn, the median of three rounds. */
async function rowsPerSecond(
  bench: Bench,
  writers: Readonly<Record<string, StatusStore>>,
  jobs: number,
  size: number,
  result?: unknown,
): Promise<number[]> {
  const rates = Object.values(writers).map((): number[] => []);
  for (let round = 0; round < 3; round++) {
    const [, ended = []] = livesOf(first, jobs, result);
    first += jobs;
    await bench.pool.query('truncate job_status, bare.job_status cascade');
    for (const [at, store] of Object.values(writers).entries())
      rates[at]!.push(await rateOf(store, ended, size));
  }
  return rates.map(median);
}

async function rateOf(store: StatusStore, updates: readonly StatusUpdate[], size: number) {
  const start = performance.now();
  for (const batch of batchesOf(updates, size)) await store.write(batch);
  return (updates.length * 1_000) / (performance.now() - start);
}

/** Of each writer a line, from what each place gave of all of them. */
function linesOf(names: readonly string[], places: readonly (readonly number[])[]) {
  return Object.fromEntries(
    names.map((name, at) => [name, places.map((values) => values[at] ?? NaN)]),
  );
}

async function byBatchSize(bench: Bench): Promise<Growth> {
  const writers = await writersOf(bench);
  const at = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000];
  const places = [];
  for (const size of at)
    places.push(
      await rowsPerSecond(bench, writers, Math.min(10_000, Math.max(300, size * 10)), size),
    );
  const lines = linesOf(Object.keys(writers), places);
  return {
    name: 'batch-size',
    title: 'By the size of a batch',
    x: 'rows a write',
    y: 'rows/s',
    at,
    lines,
  };
}

async function byPayload(bench: Bench): Promise<Growth> {
  const writers = await writersOf(bench);
  const at = [0, 1, 4, 16, 64];
  const places = [];
  for (const kB of at) {
    const result = kB === 0 ? undefined : { text: 'x'.repeat(kB * 1_000) };
    const jobs = Math.max(1_000, Math.round(10_000 / (1 + kB)));
    places.push(await rowsPerSecond(bench, writers, jobs, 500, result));
  }
  const lines = linesOf(Object.keys(writers), places);
  return {
    name: 'payload',
    title: "By the size of a job's result",
    x: 'kB',
    y: 'rows/s',
    at,
    lines,
  };
}

/** All processes at once, each writing jobs of its own for so many ms. */
async function byProcesses(bench: Bench): Promise<Growth> {
  const program = fileURLToPath(new URL('../harness/writer.ts', import.meta.url));
  const { parts, pool } = bench;
  const lines: Record<string, number[]> = { Postgres: [], Supabase: [] };
  const at = [1, 2, 3, 4, 6, 8];
  for (const processes of at) {
    for (const [name, line] of Object.entries(lines)) {
      await pool.query('truncate job_status cascade');
      const task = { store: name, url: parts.supabase.url, key: parts.supabase.secretKey };
      const counts = await Promise.all(
        Array.from({ length: processes }, async (_, writer) => {
          const { connectionString } = parts.postgres;
          const input = JSON.stringify({ ...task, connectionString, writer, ms: 3_000 });
          const { stdout } = await execaNode(program, [input]);
          return Number(stdout);
        }),
      );
      line.push(counts.reduce((sum, rate) => sum + rate, 0));
    }
  }
  const title = 'By the number of processes that write';
  return { name: 'processes', title, x: 'processes', y: 'rows/s of all', at, lines };
}

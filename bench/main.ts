// What tracking costs, against everything people use instead, on real parts on this machine. See README.md beside it.

import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { mkdirSync, writeFileSync } from 'node:fs';
import {
  describeTarget,
  isFarOff,
  isMet,
  type Figure,
  type Findings,
  type Grid,
} from './harness/figures.ts';
import { describeMachine } from './harness/machine.ts';
import { startBench, type Bench } from './harness/parts.ts';
import { plot } from './harness/plot.ts';
import { measureGrowth } from './measures/growth.ts';
import { measureJobs } from './measures/jobs.ts';
import { measureLargeTable } from './measures/large-table.ts';
import { measurePace } from './measures/pace.ts';
import { measurePeers } from './measures/peers.ts';
import { measurePending } from './measures/pending.ts';
import { measureProgress } from './measures/progress.ts';
import { measureWrites } from './measures/writes.ts';

const MEASURES: Readonly<Record<string, (bench: Bench) => Promise<Findings>>> = {
  jobs: measureJobs,
  peers: measurePeers,
  pace: measurePace,
  progress: measureProgress,
  writes: measureWrites,
  pending: measurePending,
  growth: measureGrowth,
  'large-table': measureLargeTable,
};
const SHORT = ['jobs', 'writes', 'pending'];

const program = new Command('bench')
  .description('Measures what tracking costs. A full run takes some 17 minutes and 20 GB of disk.')
  .addOption(new Option('--only <measures...>', 'which measures').choices(Object.keys(MEASURES)))
  .option(
    '--short',
    'ratios within a minute; fails where one is not half of what it must be',
    false,
  )
  .option('--json <file>', 'where the figures go', '.tmp/bench/results.json')
  .option('--plots <folder>', 'where the pictures go', '.tmp/bench')
  .parse();
const options = program.opts<{ only?: string[]; short: boolean; json: string; plots: string }>();

await using bench = await startBench(options.short);
const machine = describeMachine(bench.parts);
console.log(Object.values(machine).join(' · '));

const figures: Figure[] = [];
const grids: Grid[] = [];
const names = options.only ?? (options.short ? SHORT : Object.keys(MEASURES));
for (const name of names) {
  const findings = await MEASURES[name]!(bench);
  figures.push(...findings.figures);
  grids.push(...findings.grids);
  for (const grid of findings.grids) print(grid);
  for (const growth of findings.growth ?? [])
    save(`${options.plots}/${growth.name}.svg`, plot(growth));
}
print({
  title: 'Against what must be reached',
  head: ['what', 'measured', 'must be', ''],
  rows: figures.map((figure) => [
    figure.what,
    `${figure.value} ${figure.unit ?? ''}`.trim(),
    describeTarget(figure.target),
    isMet(figure) ? 'met' : 'missed',
  ]),
});
save(options.json, `${JSON.stringify({ machine, figures, grids }, null, 2)}\n`);

const farOff = figures.filter(isFarOff);
for (const { what, value, target } of farOff)
  console.error(`Far off: ${what} is ${value}, must be ${describeTarget(target)}`);
process.exitCode = options.short && farOff.length > 0 ? 1 : 0;

function print({ title, head, rows }: Grid): void {
  const table = new Table({ head: [...head], style: { head: [], border: [] } });
  for (const row of rows) table.push([...row]);
  console.log(`\n${title}\n${table.toString()}`);
}

function save(file: string, text: string): void {
  mkdirSync(new URL('.', new URL(file, `file://${process.cwd()}/`)), { recursive: true });
  writeFileSync(file, text);
}

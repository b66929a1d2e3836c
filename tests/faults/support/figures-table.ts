// Prints what faults cost, as the table of docs/faults.md: node figures-table.ts, after a full run.

import { readFileSync } from 'node:fs';
import { FIGURES_FILE, type Figures } from './figures.ts';

const COLUMNS: Readonly<Record<keyof Figures, string>> = {
  fault: 'what went wrong',
  load: 'load',
  injected: 'how much of it',
  jobsSlowed: 'jobs slowed',
  rowsWrong: 'rows wrong',
  updatesLost: 'updates lost',
  memory: 'memory',
};

const columns = Object.keys(COLUMNS) as (keyof Figures)[];
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const lines = readFileSync(FIGURES_FILE, 'utf8').trim().split('\n');
const figures = lines.map((line) => JSON.parse(line) as Partial<Figures>);

console.log(row(columns.map((column) => COLUMNS[column])));
console.log(row(columns.map(() => '---')));
for (const each of figures) console.log(row(columns.map((column) => each[column] ?? '')));

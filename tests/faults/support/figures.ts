import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Whether faults last as long as they do at night (`npm run test:faults`), or a few seconds. */
export const isFull = process.env['FAULTS'] === 'full';

/** Where figures are gathered in a full run; `figures-table.ts` makes a table of them. */
export const FIGURES_FILE = fileURLToPath(new URL('../../../.tmp/faults.jsonl', import.meta.url));

/** What a fault cost: one line of the table in `docs/faults.md`. */
export interface Figures {
  /** What went wrong, as the table names it. */
  readonly fault: string;
  /** Jobs, and how many a second. */
  readonly load: string;
  /** How often, or for how long. */
  readonly injected: string;
  /** What the jobs felt of it, beside what they take without it. */
  readonly jobsSlowed: string;
  readonly rowsWrong: string;
  readonly updatesLost: string;
  readonly memory: string;
}

/** Shows figures, and keeps those of a full run for the table. Cells that say nothing are left out. */
export function record(
  figures: Pick<Figures, 'fault' | 'load' | 'injected'> & Partial<Figures>,
): void {
  console.log(figures);
  if (!isFull) return;
  mkdirSync(dirname(FIGURES_FILE), { recursive: true });
  appendFileSync(FIGURES_FILE, `${JSON.stringify(figures)}\n`);
}

import { styleText } from 'node:util';
import type { JobStatus } from 'bullmq-job-status';
import Table from 'cli-table3';

const COLUMNS = [
  ['name', 'left'],
  ['id', 'right'],
  ['status', 'left'],
  ['tries', 'left'],
  ['started', 'left'],
  ['finished', 'left'],
  ['ms', 'right'],
  ['outcome', 'left'],
] as const;

/** Rows as a table of 80 columns at most, without the lines that would take a third of them. */
export function tableOf(rows: readonly JobStatus[]): string {
  const table = new Table({
    head: COLUMNS.map(([head]) => styleText('dim', head)),
    colAligns: COLUMNS.map(([, align]) => align),
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 2, 'padding-right': 0 },
  });
  table.push(...rows.map(cellsOf));
  // Its cells are filled up with spaces, which a narrow terminal would wrap.
  return table.toString().replaceAll(/ +$/gm, '');
}

function cellsOf(row: JobStatus): string[] {
  const { name, jobId, status, attemptsMade, maxAttempts, startedAt } = row;
  const endedAt = row.completedAt ?? row.failedAt;
  const tookMs = startedAt && endedAt && endedAt.getTime() - startedAt.getTime();
  return [
    name,
    jobId,
    // Plain text where standard output is no terminal, or NO_COLOR is set.
    status === 'failed' ? styleText('red', status) : status,
    `${attemptsMade}/${maxAttempts}`,
    ...[startedAt, endedAt].map(clock),
    String(tookMs ?? ''),
    outcomeOf(row),
  ];
}

/** Why it failed, how far it got, or what it returned: whichever says most. */
function outcomeOf({ error, progress, result }: JobStatus): string {
  if (error !== null) return error.message;
  return JSON.stringify(progress === 0 ? result : progress).replaceAll('"', '');
}

/** HH:MM:SS.mmm, in UTC, as exact as the database holds it. */
function clock(time: Date | null): string {
  return time?.toISOString().slice(11, 23) ?? '';
}

/** cli-table3 draws each of these unless told otherwise. */
const LINES = `top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right
  left left-mid mid mid-mid right right-mid middle`;
const NO_LINES = Object.fromEntries(LINES.split(/\s+/).map((part) => [part, '']));

import type { StatusUpdate } from '../types.ts';
import { keyOf } from '../key.ts';
import { show } from './differences.ts';

type Field = keyof StatusUpdate;

/** What orders snapshots: shown of each. */
const ORDERING: readonly Field[] = [
  ...(['status', 'attempt', 'createdAt', 'processedOn', 'finishedOn', 'sequence'] as const),
];

/** Shown as what passed since the first job was added: of times of thirteen digits nobody sees which is later. */
const TIMES: readonly Field[] = [
  ...(['createdAt', 'updatedAt', 'processedOn', 'finishedOn'] as const),
  ...(['firstProcessedOn', 'attemptEndedOn', 'queuedOn'] as const),
];

/** The most snapshots that are shown. */
const MAX_ROWS = 24;

/**
 * A history as a table, a line for each snapshot: what orders it, and what of it the difference is about.
 *
 * @param wrong lines that begin with the field they are about
 */
export function historyTable(
  history: readonly StatusUpdate[],
  wrong: readonly string[],
): readonly string[] {
  const start = Math.min(...history.map(({ createdAt }) => createdAt.getTime()));
  const about = new Set(wrong.map((line) => /^\w*/.exec(line)?.[0]));
  const others = Object.keys(history[0] ?? {}) as Field[];
  const isOfMany = new Set(history.map(keyOf)).size > 1;
  const fields = [
    ...(isOfMany ? (['queue', 'jobId'] as const) : []),
    ...ORDERING,
    ...others.filter((field) => about.has(field) && !ORDERING.includes(field)),
  ];
  const rows = history
    .slice(0, MAX_ROWS)
    .map((snapshot, at) => [
      `${at + 1}`,
      ...fields.map((field) => cell(field, snapshot[field], start)),
    ]);
  return [
    `(times in ms after ${new Date(start).toISOString()})`,
    ...aligned([['', ...fields], ...rows]),
    ...(history.length > MAX_ROWS ? [`… ${history.length - MAX_ROWS} more`] : []),
  ];
}

function cell(field: Field, value: StatusUpdate[Field], start: number): string {
  if (value === null) return '-';
  if (TIMES.includes(field)) return `${Number(value) - start}`;
  if (field === 'sequence' && Number(value) > 0) return `${Number(value) - start * 1_000}`;
  return field === 'status' && typeof value === 'string' ? value : show(value);
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  return rows.map((cells) =>
    cells
      .map((text, column) => text.padEnd(widths?.[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

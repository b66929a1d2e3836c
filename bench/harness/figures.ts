/** What a figure must reach: at least so much, or at most. */
export type Target = { readonly least: number } | { readonly most: number };

/** One number of a run, by a name that stays the same from run to run. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit?: string;
  readonly target?: Target;
}

/** A table as people read it. */
export interface Grid {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** A curve of how a cost grows. */
export interface Growth {
  /** Its picture's file, without the ending. */
  readonly name: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly at: readonly (number | string)[];
  /** Of each line, a value for each place. */
  readonly lines: Readonly<Record<string, readonly number[]>>;
}

/** What a measure found. */
export interface Findings {
  readonly figures: readonly Figure[];
  readonly grids: readonly Grid[];
  readonly growth?: readonly Growth[];
}

export function isMet({ value, target }: Figure): boolean {
  if (target === undefined) return true;
  return 'least' in target ? value >= target.least : value <= target.most;
}

/** Off by more than noise can explain: not even half of what it must reach. */
export function isFarOff({ value, target }: Figure): boolean {
  if (target === undefined) return false;
  return 'least' in target ? value < target.least / 2 : value > target.most * 2;
}

export function describeTarget(target: Target | undefined): string {
  if (target === undefined) return '';
  return 'least' in target ? `>= ${target.least}` : `<= ${target.most}`;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? NaN;
}

/** To three digits that count. */
export function round(value: number): number {
  return Number(value.toPrecision(3));
}

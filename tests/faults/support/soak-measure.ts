import Table from 'cli-table3';
import type { EventEmitter } from 'node:events';
import { setImmediate } from 'node:timers/promises';

/** One look at the process, in a quiet moment. */
export interface Sample {
  /** Since the start, in ms. */
  readonly at: number;
  /** By their names: what is to stay as it is. */
  readonly measures: Readonly<Record<string, number>>;
}

/** How much a measure may grow over the last two thirds of the run, by the line through its samples. */
const ALLOWED: Readonly<Record<string, number>> = {
  // Of one core, since the sample before.
  'CPU %': 10,
  'heap MB': 3,
  'external MB': 1,
  listeners: 0.5,
  // One that was closed a moment ago may not be collected yet.
  'stores, workers': 2,
};
/** Of handles and timers of each kind: HTTP clients keep some of theirs for seconds. */
const ALLOWED_HANDLES = 3;

const MB = 1_000_000;
const HOUR_MS = 3_600_000;

/** What a sampler looks at beside the process. */
export interface Watched {
  readonly emitters: () => readonly EventEmitter[];
  readonly alive: () => number;
}

/** Takes samples. */
export function createSampler({ emitters, alive }: Watched): () => Promise<Sample> {
  const start = performance.now();
  let before = { at: start, cpu: process.cpuUsage() };
  return async () => {
    const now = performance.now();
    const { user, system } = process.cpuUsage(before.cpu);
    const cpu = (user + system) / 10 / (now - before.at);
    before = { at: now, cpu: process.cpuUsage() };
    // What finalizers let go of in the first round goes in the next, a turn later.
    for (let rounds = 0; rounds < 3; rounds++) {
      globalThis.gc?.();
      await setImmediate();
    }
    const { heapUsed, external } = process.memoryUsage();
    const handles: Record<string, number> = {};
    for (const kind of process.getActiveResourcesInfo()) handles[kind] = (handles[kind] ?? 0) + 1;
    const listeners = [process, ...emitters()].reduce((sum, each) => sum + countListeners(each), 0);
    const memory = { 'heap MB': heapUsed / MB, 'external MB': external / MB };
    const measures = { 'CPU %': cpu, ...memory, listeners, 'stores, workers': alive(), ...handles };
    return { at: now - start, measures };
  };
}

function countListeners(emitter: EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
}

/** The last two thirds: by then code is compiled, caches are filled and connections made. */
function settledPart(samples: readonly Sample[]): readonly Sample[] {
  return samples.slice(Math.floor(samples.length / 3));
}

/** The slope of the line through some points by least squares, per ms. */
function slopeOf(points: readonly (readonly [at: number, value: number])[]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [meanAt, meanValue] = [mean(0), mean(1)];
  const sum = (of: (at: number, value: number) => number) =>
    points.reduce((total, [at, value]) => total + of(at - meanAt, value - meanValue), 0);
  return sum((at, value) => at * value) / (sum((at) => at * at) || 1);
}

export interface Judgement {
  readonly table: string;
  /** What grew by more than it may. */
  readonly faults: string[];
}

/** How each measure went from the start over the middle to the end, and which of them grew. */
export function judge(samples: readonly Sample[]): Judgement {
  const settled = settledPart(samples);
  const spanMs = (settled.at(-1)?.at ?? 0) - (settled[0]?.at ?? 0);
  const names = new Set(samples.flatMap(({ measures }) => Object.keys(measures)));
  const table = new Table({
    head: ['', 'start', 'middle', 'end', 'slope/h', 'growth', 'may grow'],
    style: { head: [], border: [] },
  });
  const faults: string[] = [];
  for (const name of names) {
    const valueOf = (sample?: Sample) => sample?.measures[name] ?? 0;
    const slope = slopeOf(settled.map((sample) => [sample.at, valueOf(sample)]));
    const growth = slope * spanMs;
    const allowed = ALLOWED[name] ?? ALLOWED_HANDLES;
    if (growth > allowed) faults.push(`${name} grew by ${growth.toFixed(1)}`);
    const shown = [samples[0], samples[Math.floor(samples.length / 2)], samples.at(-1)];
    table.push([
      name,
      ...shown.map((sample) => String(Math.round(valueOf(sample) * 10) / 10)),
      (slope * HOUR_MS).toFixed(1),
      growth.toFixed(1),
      allowed,
    ]);
  }
  return { table: table.toString(), faults };
}

import type { TrackableJob } from '../bullmq.ts';
import type { QueuedJob } from '../queue-snapshot.ts';
import type { JobChange, Parts } from './reader.ts';

/*
 * What a queue keeps of a job, as text, and what an event says, made into what the rest works with. The text
 * was written by any version of BullMQ, by another language, by hand: what of it can't be read is taken as
 * not there, and never costs the job.
 */

/** A job's fields, by the names they have in BullMQ's Redis hash. */
export const FIELDS = [
  'name',
  'data',
  'opts',
  'progress',
  'delay',
  'priority',
  'timestamp',
  'processedOn',
  'finishedOn',
  'ats',
  'atm',
  'attemptsMade',
  'failedReason',
  'stacktrace',
  'returnvalue',
  'parent',
  'parentKey',
  'rjk',
  'deid',
  'pb',
] as const;

/** Which of them are read where how much is asked for. */
export const FIELDS_OF: Readonly<Record<Parts, readonly (typeof FIELDS)[number][]>> = {
  whole: FIELDS,
  'without-data': FIELDS.filter((field) => field !== 'data'),
  standing: ['name', 'timestamp', 'ats'],
};

export type RawFields = { readonly [field in (typeof FIELDS)[number]]: string | null };

/** Where a job stands, beside its fields. */
export interface Place extends Omit<QueuedJob, 'job' | 'result'> {
  readonly id: string;
  /** The queue's bare name. */
  readonly queueName: string;
}

/**
 * A job as its queue keeps it, with all the data that a `Job` of BullMQ has.
 *
 * @returns `undefined` where there is only something like a job: fields that somebody wrote after it was gone
 */
export function toQueuedJob(place: Place, raw: RawFields): QueuedJob | undefined {
  const timestamp = toNumber(raw.timestamp);
  if (raw.name === null || timestamp === undefined) return undefined;
  const { id, queueName, ...rest } = place;
  const data = parse(raw.data);
  const result = parse(raw.returnvalue);
  const job = {
    id,
    name: raw.name,
    queueName,
    data: data === undefined ? {} : data,
    opts: { attempts: 0, ...toOptions(parse(raw.opts)) },
    progress: parse(raw.progress) ?? 0,
    delay: toNumber(raw.delay) ?? 0,
    priority: toNumber(raw.priority) ?? 0,
    timestamp,
    processedOn: toNumber(raw.processedOn),
    finishedOn: toNumber(raw.finishedOn),
    attemptsStarted: toNumber(raw.ats) ?? 0,
    // Under its long name where an older BullMQ counted.
    attemptsMade: toNumber(raw.attemptsMade) ?? toNumber(raw.atm) ?? 0,
    failedReason: raw.failedReason || undefined,
    stacktrace: toTexts(parse(raw.stacktrace)),
    returnvalue: result ?? null,
    parent: toParent(parse(raw.parent), raw.parentKey),
    parentKey: raw.parentKey || undefined,
    repeatJobKey: raw.rjk || undefined,
    deduplicationId: raw.deid || undefined,
    processedBy: raw.pb || undefined,
  } satisfies TrackableJob & Record<string, unknown>;
  return { ...rest, job, result };
}

/** An event of the queue, as far as it tells of a job. */
export interface RawEvent extends Omit<JobChange, 'value'> {
  /** JSON of a `completed` job's result, why a job `failed`, or where a `removed` one stood. */
  readonly value: string | null;
}

export function toChange({ value, ...event }: RawEvent): JobChange {
  return { ...event, value: event.event === 'completed' ? parse(value) : (value ?? undefined) };
}

/** What moves a job. Every other event says only that there was something: it hides no move before it. */
export const MOVES = [
  'added',
  'waiting',
  'delayed',
  'waiting-children',
  'active',
  'completed',
  'failed',
  'removed',
] as const;

/** Events, oldest first, each job's last left: one that moved it, if any did. `redis-scripts.ts` does the same. */
export function lastOfEach(events: readonly RawEvent[]): readonly RawEvent[] {
  const last = new Map<string, RawEvent>();
  const moves: readonly string[] = MOVES;
  for (const event of events) {
    const before = last.get(event.jobId);
    const hidesMove = before !== undefined && moves.includes(before.event);
    if (hidesMove && !moves.includes(event.event)) continue;
    // That an ended job was taken away says less than how it ended.
    if (event.event === 'removed' && /^(?:completed|failed)$/.test(before?.event ?? '')) continue;
    // Out, and in again at its new place.
    last.delete(event.jobId);
    last.set(event.jobId, event);
  }
  return [...last.values()];
}

/** The short names under which BullMQ keeps some options. */
const OPTIONS: Readonly<Record<string, string>> = {
  de: 'deduplication',
  fpof: 'failParentOnFailure',
  cpof: 'continueParentOnFailure',
  idof: 'ignoreDependencyOnFailure',
  kl: 'keepLogs',
  rdof: 'removeDependencyOnFailure',
};

function toOptions(stored: unknown): Record<string, unknown> {
  if (!isObject(stored)) return {};
  // A job has its scheduler beside its options.
  const { repeatJobKey: _, ...options } = stored;
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [OPTIONS[name] ?? name, value]),
  );
}

function toParent(stored: unknown, key: string | null): TrackableJob['parent'] {
  if (isObject(stored)) {
    const { id, queueKey } = stored;
    if (typeof id === 'string' && typeof queueKey === 'string') return { ...stored, id, queueKey };
  }
  // Older versions kept the key alone.
  const at = key?.lastIndexOf(':') ?? -1;
  return key === null || at < 0 ? undefined : { id: key.slice(at + 1), queueKey: key.slice(0, at) };
}

function toTexts(stored: unknown): readonly string[] {
  return Array.isArray(stored) ? stored.filter((line) => typeof line === 'string') : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function toNumber(text: string | null): number | undefined {
  const number = text === null || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : undefined;
}

function parse(json: string | null): unknown {
  if (json === null) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

import type { TrackableJob } from './bullmq.ts';
import { describe, kindOf } from './errors.ts';
import { toStorable } from './storable.ts';
import type { Alteration, Alterations, CapturedField, JobError, JsonValue } from './types.ts';

/** Makes a job's own value storable; the option-bound part of a snapshot. */
export interface Capture {
  /** Which fields are kept at all. */
  readonly fields: Readonly<Record<CapturedField, boolean>>;
  readonly maxValueLength: number;
  /** Replaces a value before it is kept. */
  redact(value: unknown, field: CapturedField, job: TrackableJob): unknown;
  metadata(job: TrackableJob): unknown;
  /** Told where a hook threw; the snapshot goes on without what it would have given. */
  hookFailed(hook: 'filter' | 'redact' | 'metadata', thrown: unknown): void;
}

/** The values of one job, on their way into a snapshot. */
export interface Values {
  readonly job: TrackableJob;
  readonly capture: Capture;
  /** What had to be altered so far; complete once all are taken. */
  altered: Alterations | null;
}

/** @param altered what is altered in those values that are not taken anew */
export function valuesOf(
  job: TrackableJob,
  capture: Capture,
  altered: Alterations | null = null,
): Values {
  return { job, capture, altered };
}

/** Redacts and copies a value, and notes what had to be altered. */
export function takeValue(values: Values, field: CapturedField, value: unknown): JsonValue {
  const { capture, job } = values;
  note(values, field, []);
  if (!capture.fields[field] || value === undefined || value === null) return null;
  try {
    const redacted = atOnce(capture.redact(value, field, job));
    const storable = toStorable(redacted, capture.maxValueLength);
    note(values, field, storable.altered);
    return storable.value;
  } catch (thrown) {
    return hookFailed(values, 'redact', field, thrown);
  }
}

/** A redacted error may be any value; what is stored has an error's shape. */
export function takeError(values: Values, error: JobError | null): JobError | null {
  const value = takeValue(values, 'error', error);
  return value === null ? null : toJobError(isRecord(value) ? value : { message: value });
}

export function takeMetadata(values: Values): { readonly [key: string]: JsonValue } | null {
  try {
    const metadata = atOnce(values.capture.metadata(values.job));
    const value = takeValue(values, 'metadata', metadata);
    if (value === null || isRecord(value)) return value;
    throw new TypeError(`expected an object, got ${kindOf(metadata)}`);
  } catch (thrown) {
    return hookFailed(values, 'metadata', 'metadata', thrown);
  }
}

/** What the user's code throws is told, and costs the value only. */
function hookFailed(
  values: Values,
  hook: 'redact' | 'metadata',
  field: CapturedField,
  thrown: unknown,
): null {
  values.capture.hookFailed(hook, thrown);
  note(values, field, ['hook-failed']);
  return null;
}

/** Notes why a value is not the job's own; with no reason, that it is. */
function note(values: Values, field: CapturedField, why: readonly Alteration[]): void {
  if (why.length > 0) {
    values.altered = { ...values.altered, [field]: why };
  } else if (values.altered?.[field] !== undefined) {
    const { [field]: _gone, ...others } = values.altered;
    values.altered = Object.keys(others).length > 0 ? others : null;
  }
}

/** What a hook of yours gave, which is needed now: the `Job` it speaks of moves on. */
export function atOnce(answer: unknown): unknown {
  if (!(answer instanceof Promise)) return answer;
  // Should it reject, that is told as this error is; unhandled it would end the process.
  answer.catch(() => {});
  throw new TypeError('expected an answer at once, got a promise');
}

/** Whatever stands for an error, as its three texts. */
export function toJobError({
  name,
  message,
  stack,
}: { [part in keyof JobError]?: unknown }): JobError {
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : describe(message),
    ...(typeof stack === 'string' ? { stack } : undefined),
  };
}

/** What the queue keeps of a job's last failure: its message, and its stack, which begins with its name. */
export function keptError({ failedReason, stacktrace }: TrackableJob): JobError | null {
  // `job.retry()` leaves null.
  if (failedReason === undefined || failedReason === null) return null;
  // An attempt that threw no error has left none: then the last one is of another.
  const stack = stacktrace?.findLast((each) => each.includes(failedReason));
  return toJobError({ name: nameIn(stack), message: failedReason, stack });
}

/** The name with which a stack begins. */
export function nameIn(stack: string | undefined): string | undefined {
  return stack?.match(/^\w*Error\b/)?.[0];
}

function isRecord(value: JsonValue): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && !Array.isArray(value);
}

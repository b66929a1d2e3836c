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

/** The values of one job, as a snapshot takes them. */
export interface Values {
  take(field: CapturedField, value: unknown): JsonValue;
  /** A redacted error may be any value; what is stored has an error's shape. */
  takeError(error: JobError | null): JobError | null;
  takeMetadata(): { readonly [key: string]: JsonValue } | null;
  altered(): Alterations | null;
}

/** Redacts and copies a job's values, and remembers what had to be altered. */
export function valuesOf(job: TrackableJob, capture: Capture, before?: Alterations | null): Values {
  const altered: { [field in CapturedField]?: readonly Alteration[] } = { ...before };

  function take(field: CapturedField, value: unknown): JsonValue {
    delete altered[field];
    if (!capture.fields[field] || value === undefined || value === null) return null;
    return hook('redact', field, () => {
      const redacted = atOnce(capture.redact(value, field, job));
      const storable = toStorable(redacted, capture.maxValueLength);
      if (storable.altered.length > 0) altered[field] = storable.altered;
      return storable.value;
    });
  }

  /** Runs the user's code; what it throws is told, and costs the value only. */
  function hook<T>(name: 'redact' | 'metadata', field: CapturedField, run: () => T): T | null {
    try {
      return run();
    } catch (thrown) {
      capture.hookFailed(name, thrown);
      altered[field] = ['hook-failed'];
      return null;
    }
  }

  return {
    take,
    takeError(error) {
      const value = take('error', error);
      return value === null ? null : toJobError(isRecord(value) ? value : { message: value });
    },
    takeMetadata: () =>
      hook('metadata', 'metadata', () => {
        const metadata = atOnce(capture.metadata(job));
        const value = take('metadata', metadata);
        if (value === null || isRecord(value)) return value;
        throw new TypeError(`expected an object, got ${kindOf(metadata)}`);
      }),
    altered: () => (Object.keys(altered).length > 0 ? altered : null),
  };
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
  if (failedReason === undefined) return null;
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

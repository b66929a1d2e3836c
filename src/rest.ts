import type { JobStatusError } from './errors.ts';

/**
 * How long to leave what failed alone, in ms: twice as long each time, and what it asks for itself (`retryAfterMs`)
 * before that, for it asks everybody for the same.
 *
 * @param failures how many there have been, one after the other
 * @param maxAskedMs how much of what it asks for is granted
 */
export function restAfter(
  { retryAfterMs }: JobStatusError,
  failures: number,
  { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number },
  maxAskedMs: number,
): number {
  // A store may be anybody's, and so may what it says.
  const asked = Math.min(maxAskedMs, Math.max(0, Number(retryAfterMs) || 0));
  const backoffMs = Math.min(maxMs, minMs * 2 ** (failures - 1));
  return asked + withJitter(Math.max(backoffMs, asked / 2));
}

/** Half of it is drawn by lot, so that many processes do not come back at once. */
export function withJitter(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

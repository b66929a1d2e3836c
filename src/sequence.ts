/*
 * A hybrid logical clock: the host's milliseconds times 1,000, and one more than the last where those
 * have not moved on. It rises strictly within a process, also when the host's clock is set back, and
 * follows the time of day across processes. It stays a safe integer until the year 2255.
 */

let last = 0;

/** The next reading, given the host's clock in ms since 1970. */
export function nextSequence(now: number): number {
  last = Math.max(last + 1, now * 1_000);
  return last;
}

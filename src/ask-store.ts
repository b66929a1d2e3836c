import { within } from './deadline.ts';
import { asStoreError, JobStatusError } from './errors.ts';

/** For how long a store's answer is waited for. */
export interface StoreLimits {
  readonly timeoutMs: number;
  readonly sooner?: AbortSignal;
}

/**
 * What a store answers, if it does so in time.
 *
 * @param call is given a signal that aborts when nobody waits for the answer any more
 * @param limits.sooner aborts it sooner, from elsewhere
 * @throws {JobStatusError} with a code of a store's, whatever the store rejected with or threw
 */
export async function askStore<T>(
  { timeoutMs, sooner }: StoreLimits,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = () =>
    new JobStatusError('ERR_STORE_TIMEOUT', `The store did not answer within ${timeoutMs} ms`);
  try {
    return await within(timeoutMs, async (signal) => call(signal), late, sooner);
  } catch (error) {
    throw asStoreError(error);
  }
}

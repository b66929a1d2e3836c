/**
 * What a promise gives, unless the signal aborts first: then it rejects with the signal's reason. What the
 * promise stands for goes on by itself.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * What a work gives, if it does so in time.
 *
 * @param work is given a signal that aborts when nobody waits for it any more
 * @param late makes what this rejects with after so many ms
 * @param over aborts it sooner, from elsewhere
 */
export async function within<T>(
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  late: () => Error,
  over = new AbortController(),
): Promise<T> {
  const timer = setTimeout(() => over.abort(late()), ms);
  try {
    return await unlessAborted(work(over.signal), over.signal);
  } finally {
    clearTimeout(timer);
  }
}

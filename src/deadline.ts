/**
 * What a promise gives, unless the signal aborts first: then it rejects with the signal's reason. What the
 * promise stands for goes on by itself.
 */
export function unlessAborted<T>(work: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    const settled = Promise.resolve(work).then(resolve, reject);
    void settled.then(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * What a work gives, if it does so in time.
 *
 * @param work is given a signal that aborts when nobody waits for it any more
 * @param late makes what this rejects with after so many ms
 * @param sooner ends it before that
 */
export async function within<T>(
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  late: () => Error,
  sooner?: AbortSignal,
): Promise<T> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(late()), ms);
  const end = () => over.abort(sooner?.reason);
  if (sooner?.aborted) end();
  sooner?.addEventListener('abort', end);
  try {
    return await unlessAborted(work(over.signal), over.signal);
  } finally {
    clearTimeout(timer);
    sooner?.removeEventListener('abort', end);
  }
}

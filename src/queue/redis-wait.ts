import { setTimeout as sleep } from 'node:timers/promises';

/** What of a Redis client is used to wait: ioredis', or that of one of BullMQ's adapters. */
export interface BlockableClient {
  /** Adapters, and nothing else, have it. */
  readonly runCommand?: unknown;
  readonly isCluster?: boolean | undefined;
  readonly options?: { readonly redisOptions?: object | undefined } | undefined;
  duplicate(...options: unknown[]): BlockableClient;
  xread(...command: unknown[]): Promise<unknown>;
  on(event: 'error', listener: () => void): unknown;
  disconnect(): unknown;
}

/** How long to rest where there is no connection to wait on, in ms. */
const REST_MS = 500;

/** After how long a connection that could not be used is tried again, in ms. */
const RETRY_MS = 10_000;

/** How much later than asked for Redis may answer before its connection is taken for dead, in ms. */
const SLACK_MS = 1_000;

/**
 * What makes a connection fit to wait on, for ioredis: others look at none of it. A command that blocks is not
 * to be given up, whatever the program has set for its own.
 */
const BLOCKING = {
  maxRetriesPerRequest: null,
  enableOfflineQueue: true,
  commandTimeout: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
};

export interface StreamWait {
  /** Resolves when the stream has an entry after a place, or the time has passed, or the signal aborts. */
  wait(place: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/**
 * Waits for a stream's next entry, on a connection of its own: on the queue's, what blocks would hold up all
 * else. Where there is no such connection, or it breaks, a wait is a short rest: who looks again after it loses
 * nothing, and hears from the queue's own connection what is wrong.
 */
export function waitOnStream(client: () => Promise<BlockableClient>, stream: string): StreamWait {
  let own: BlockableClient | undefined;
  let retryAt = 0;
  let isClosed = false;
  let release = () => {};

  async function connect(): Promise<BlockableClient | undefined> {
    if (own !== undefined || isClosed || performance.now() < retryAt) return own;
    const queues = await client();
    if (isClosed) return undefined;
    const made = duplicateOf(queues);
    // It tries again by itself. Nobody else listens, and an error without a listener ends the process.
    made.on('error', () => {});
    own = made;
    return own;
  }

  function disconnect(): void {
    const left = own;
    own = undefined;
    try {
      left?.disconnect();
    } catch {
      // It was closed already.
    }
  }

  /** @returns whether Redis answered */
  async function block(place: string, timeoutMs: number, over: AbortSignal): Promise<boolean> {
    const on = await connect();
    if (on === undefined || over.aborted) return false;
    const command =
      on.runCommand === undefined
        ? on.xread('COUNT', 1, 'BLOCK', timeoutMs, 'STREAMS', stream, place)
        : on.xread([{ key: stream, id: place }], { COUNT: 1, BLOCK: timeoutMs });
    await command;
    return true;
  }

  return {
    async wait(place, timeoutMs, signal) {
      if (signal.aborted || isClosed || timeoutMs <= 0) return;
      // Redis takes 0 as for ever, and no fractions.
      const ms = Math.max(1, Math.trunc(timeoutMs));
      const over = new AbortController();
      const end = new Promise<'over'>((resolve) => {
        release = () => resolve('over');
        signal.addEventListener('abort', release, { once: true, signal: over.signal });
      });
      const timer = setTimeout(release, ms + SLACK_MS);
      try {
        const answered = await Promise.race([
          block(place, ms, over.signal).catch(() => false),
          end,
        ]);
        if (answered === true) return;
        // What still blocks there would hold up the next wait.
        disconnect();
        if (answered === 'over') return;
        if (performance.now() >= retryAt) retryAt = performance.now() + RETRY_MS;
        await Promise.race([sleep(Math.min(ms, REST_MS), undefined, { signal: over.signal }), end]);
      } finally {
        clearTimeout(timer);
        over.abort();
      }
    },
    close() {
      isClosed = true;
      release();
      disconnect();
    },
  };
}

function duplicateOf(client: BlockableClient): BlockableClient {
  // Adapters know of clusters themselves.
  return client.runCommand === undefined && client.isCluster === true
    ? client.duplicate([], { redisOptions: { ...client.options?.redisOptions, ...BLOCKING } })
    : client.duplicate(BLOCKING);
}

import { REALTIME_SUBSCRIBE_STATES, type SupabaseClient } from '@supabase/supabase-js';

/** A row as it is shown; name the columns that your users may read. */
export interface JobRow {
  readonly queue: string;
  readonly job_id: string;
  readonly name: string;
  readonly status: string;
  readonly progress: unknown;
  readonly created_at: string;
  readonly updated_at: string;
}

const COLUMNS = 'queue, job_id, name, status, progress, created_at, updated_at';

export interface WatchOptions {
  /** Given the newest jobs, newest first, each time they have been read. */
  readonly onRows: (rows: readonly JobRow[]) => void;
  readonly onError: (error: unknown) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly limit?: number;
  /** Least time between two reads, in ms, however many changes there are. */
  readonly restMs?: number;
  /** Longest time between two reads, in ms, however quiet it is. */
  readonly everyMs?: number;
}

/**
 * Shows a signed-in user his jobs, live, until it is aborted. An event is only the hint to read again:
 * what is shown is always one read.
 */
export async function watchJobs(supabase: SupabaseClient, options: WatchOptions): Promise<void> {
  const { onRows, onError, signal, limit = 50, restMs = 250, everyMs = 30_000 } = options;
  if (signal.aborted) return;
  let isReading = false;
  let isStale = false;
  let restedAt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const readIn = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => void read(), ms);
  };
  const refresh = () => {
    isStale = true;
    if (!isReading) readIn(Math.max(0, restedAt - Date.now()));
  };
  const read = async () => {
    isReading = true;
    isStale = false;
    const newest = supabase.from('job_status').select(COLUMNS).abortSignal(signal);
    const { data, error } = await newest.order('created_at', { ascending: false }).limit(limit);
    isReading = false;
    if (signal.aborted) return;
    const rest = error === null ? restMs : 10 * restMs;
    restedAt = Date.now() + rest;
    readIn(isStale || error !== null ? rest : everyMs);
    if (error === null) onRows(data);
    else onError(error);
  };

  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  // A tab in the background may have slept; outside of a browser there is none.
  const { document: tab } = globalThis as { document?: EventTarget & { visibilityState: string } };
  const shown = () => tab?.visibilityState === 'visible' && refresh();
  tab?.addEventListener('visibilitychange', shown, { signal });
  refresh();

  // Else the channel may join before the user's token is known, as nobody, and be sent nothing.
  await supabase.realtime.setAuth();
  if (signal.aborted) return;
  const changes = { event: '*', schema: 'public', table: 'job_status' } as const;
  const channel = supabase
    .channel(`jobs-${crypto.randomUUID()}`)
    .on('postgres_changes', changes, refresh)
    // Changes are sent from here on, which is later than SUBSCRIBED.
    .on('system', {}, ({ status, message }: { status: string; message: string }) => {
      if (status === 'ok') refresh();
      else onError(new Error(message));
    })
    .subscribe((status, error) => {
      if (status === REALTIME_SUBSCRIBE_STATES.SUBSCRIBED) refresh();
      else if (!signal.aborted) onError(error ?? new Error(`Realtime: ${status}`));
    });
  signal.addEventListener('abort', () => void supabase.removeChannel(channel), { once: true });
}

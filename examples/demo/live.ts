import { setTimeout as sleep } from 'node:timers/promises';
import type { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import logUpdate from 'log-update';

const SHOWN = ['active', 'delayed', 'completed', 'failed'] as const;

/**
 * Shows how the rows stand while the jobs run: all of it is read from the database, nothing from
 * BullMQ. On a terminal one line that changes, elsewhere (a pipe, a CI log) a line every second.
 */
export function showLive(store: SupabaseStatusStore, total: number): { stop(): Promise<void> } {
  const isTerminal = process.stdout.isTTY && !process.env['CI'];
  const startedAt = Date.now();
  const stopping = new AbortController();

  async function show(): Promise<void> {
    const counts = await Promise.all(SHOWN.map((status) => store.count({ status })));
    const line = format(counts, (Date.now() - startedAt) / 1_000, total);
    if (isTerminal) logUpdate(line);
    else console.log(line);
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await show();
      await sleep(isTerminal ? 100 : 1_000, undefined, { signal: stopping.signal }).catch(() => {});
    }
    // Once more, for what stands at the end.
    await show();
    logUpdate.done();
  }

  const running = run();
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}

function format(counts: readonly number[], seconds: number, total: number): string {
  const [, , completed = 0, failed = 0] = counts;
  const ended = completed + failed;
  const parts = SHOWN.map((status, n) => `${String(counts[n]).padStart(3)} ${status}`);
  const speed = `${Math.round(ended / seconds || 0)} jobs/s`;
  return `${seconds.toFixed(1).padStart(5)} s  ${parts.join('  ')}  ${ended}/${total}  ${speed}`;
}

import type { QueuedJob } from '../../src/queue-snapshot.ts';
import type { Changes, JobChange, QueueReader } from '../../src/queue/reader.ts';
import { JOB } from './fake-worker.ts';

/** A queue to look at that holds what a test puts there: for what real ones do at moments of their own. */
export class FakeReader implements QueueReader {
  readonly jobs = new Map<string, QueuedJob>();
  readonly events: JobChange[] = [];
  /** The calls made, by their names. */
  readonly calls: string[] = [];

  put(id: string, state: QueuedJob['state'], job: object = {}): this {
    const rest = { result: null, delayedUntil: null, children: [] };
    this.jobs.set(id, { state, job: { ...JOB, id, stacktrace: null, ...job }, ...rest });
    return this;
  }

  async read(ids: readonly string[]): Promise<ReadonlyMap<string, QueuedJob>> {
    this.calls.push('read');
    const found = ids.flatMap((id) => {
      const job = this.jobs.get(id);
      return job === undefined ? [] : [[id, job] as const];
    });
    return new Map(found);
  }

  async unfinishedIds(): Promise<readonly string[]> {
    this.calls.push('unfinishedIds');
    return [];
  }

  async endedSince(): Promise<ReadonlyMap<string, number>> {
    this.calls.push('endedSince');
    return new Map();
  }

  async lastCursor(): Promise<string> {
    this.calls.push('lastCursor');
    return String(this.events.length);
  }

  async changes(cursor: string): Promise<Changes> {
    this.calls.push('changes');
    const jobs = this.events.slice(Number(cursor));
    return { cursor: String(this.events.length), jobs, hasMore: false };
  }

  async waitForChange(_cursor: string, _ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
    });
  }

  close(): void {
    this.calls.push('close');
  }
}

import { attachStatusTracking, type StatusStore, type TrackingOptions } from 'bullmq-job-status';
import { EventEmitter } from 'node:events';

/** A job as it comes with an event; bare, for what is tested is who hears of it. */
export const JOB = {
  id: '1',
  name: 'n',
  timestamp: 1,
  processedOn: 2,
  attemptsStarted: 1,
  attemptsMade: 0,
  opts: {},
  data: {},
  progress: 0,
};

/** What attaching reads of a worker, without a Redis: these tests are about arguments and errors. */
export class FakeWorker extends EventEmitter {
  readonly name = 'q';
  readonly qualifiedName = 'bull:q';
  readonly id = 'w1';
  readonly opts = {};
  closed = 0;
  async close(): Promise<void> {
    this.closed += 1;
  }
  async getNextJob(_token: string): Promise<unknown> {
    return undefined;
  }
  run(event = 'active', id = '1', rest: object = {}): void {
    this.emit(event, { ...JOB, id, ...rest }, 'x');
  }
}

/** Passes what the types forbid: JavaScript has none. */
export function attach(worker: unknown, store: unknown, options?: unknown) {
  return attachStatusTracking(
    worker as FakeWorker,
    store as StatusStore,
    options as TrackingOptions,
  );
}

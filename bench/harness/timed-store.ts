import type { StatusStore, StatusUpdate } from 'bullmq-job-status';

/** A store that says when each write of its own was answered: from then on its rows are true. */
export function timedStore(
  store: StatusStore,
  onWritten: (updates: readonly StatusUpdate[], at: number) => void,
): StatusStore {
  return {
    async write(updates, options) {
      await store.write(updates, options);
      onWritten(updates, performance.now());
    },
    get: (key, options) => store.get(key, options),
    list: (query, options) => store.list!(query, options),
  };
}

export { attachStatusTracking, type StatusTracker } from './attach.ts';
export type { JobOf, TrackableWorker } from './bullmq.ts';
export {
  InvalidArgumentError,
  StatusStoreError,
  TrackingError,
  type JobStatusError,
  type JobStatusErrorCode,
  type StoreErrorCode,
} from './errors.ts';
export { mergeStatus } from './merge.ts';
export type { Logger, TrackingOptions } from './options.ts';
export type { StatusFilter, StatusPage, StatusQuery, StatusStore } from './store.ts';
export { MemoryStatusStore } from './stores/memory.ts';
export type { TrackerStats } from './tracker.ts';
export type {
  Alteration,
  Alterations,
  CapturedField,
  JobError,
  JobKey,
  JobState,
  JobStatus,
  JsonValue,
  StatusUpdate,
} from './types.ts';

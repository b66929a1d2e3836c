export { attachStatusTracking, type StatusTracker } from './attach.ts';
export type { TrackerStats } from './batcher.ts';
export type { JobOf, TrackableWorker } from './bullmq.ts';
export { InvalidArgumentError, JobStatusError, type JobStatusErrorCode } from './errors.ts';
export { mergeStatus } from './merge.ts';
export type { Logger, TrackingOptions } from './options.ts';
export type { PruneOptions, StatusFilter, StatusPage, StatusQuery, StatusStore } from './store.ts';
export { MemoryStatusStore } from './stores/memory.ts';
export type {
  Alteration,
  Alterations,
  CapturedField,
  FinishedState,
  JobError,
  JobKey,
  JobState,
  JobStatus,
  JsonValue,
  StatusUpdate,
} from './types.ts';

export { attachStatusTracking } from './attach.ts';
export type { TrackerStats } from './batcher.ts';
export type { JobOf, QueueJobOf, TrackableQueue, TrackableWorker } from './bullmq.ts';
export { cancelJob, type CancelOptions, type CancelOutcome } from './cancel.ts';
export { InvalidArgumentError, JobStatusError, type JobStatusErrorCode } from './errors.ts';
export { mergeStatus } from './merge.ts';
export type { Logger, TrackingOptions } from './options.ts';
export { attachQueueTracking } from './queue-tracking.ts';
export { reconcile, type ReconcileOptions, type ReconcileReport } from './reconcile.ts';
export type { PruneOptions, StatusFilter, StatusPage, StatusQuery, StatusStore } from './store.ts';
export {
  compareAndSetStore,
  reviveStatus,
  type CompareAndSetBacking,
  type SerializedStatus,
  type StoredStatus,
  type VersionedStatus,
} from './stores/compare-and-set.ts';
export { statusMatcher } from './stores/matching.ts';
export { MemoryStatusStore } from './stores/memory.ts';
export type { StatusTracker } from './tracker.ts';
export type {
  Alteration,
  Alterations,
  AttemptOutcome,
  AttemptRecord,
  Cancellation,
  CapturedField,
  FinishedState,
  JobAttempt,
  JobError,
  JobFacts,
  JobKey,
  JobState,
  JobStatus,
  JsonValue,
  StatusUpdate,
} from './types.ts';

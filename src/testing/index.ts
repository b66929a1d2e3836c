export { canonicalHistories } from './canonical.ts';
export {
  conformanceTests,
  statusStoreConformance,
  type ConformanceOptions,
  type ConformanceTest,
  type SuiteOptions,
} from './conformance.ts';
export type { Law } from './failure.ts';
export type { OptionalMethod, StoreCapabilities } from './kit.ts';
export { randomHistories } from './random-histories.ts';
export { throughBatcher } from './through-batcher.ts';

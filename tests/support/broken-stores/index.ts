import { ATOMICITY } from './atomicity.ts';
import { ATTEMPTS } from './attempts.ts';
import type { BrokenStore } from './base.ts';
import { BATCHES } from './batches.ts';
import { CONDITIONS, COUNT } from './conditions.ts';
import { DELETE } from './delete.ts';
import { DELIVERY } from './delivery.ts';
import { ISOLATION } from './isolation.ts';
import { KEYS } from './keys.ts';
import { LIST } from './list.ts';
import { MERGE } from './merge.ts';
import { ORDER } from './order.ts';
import { PRUNE } from './prune.ts';
import { STATUS } from './status.ts';
import { TIMES } from './times.ts';
import { VALUES } from './values.ts';

export { storeWith, type BrokenStore } from './base.ts';

/** Stores that are wrong, each in one way. */
export const BROKEN_STORES: readonly BrokenStore[] = [
  ...ORDER,
  ...MERGE,
  ...STATUS,
  ...TIMES,
  ...VALUES,
  ...KEYS,
  ...BATCHES,
  ...DELIVERY,
  ...ATOMICITY,
  ...ISOLATION,
  ...ATTEMPTS,
  ...LIST,
  ...CONDITIONS,
  ...COUNT,
  ...DELETE,
  ...PRUNE,
];

import type { TableNames } from '../names.ts';
import { createTable } from './0001-table.ts';
import { indexForReading } from './0002-reading.ts';
import { addAttempts } from './0003-attempts.ts';
import { indexForCounting } from './0004-counting.ts';

/**
 * What leads from each version of the table to the next: the first step makes version 1. A step that
 * was released is never changed, for it has run on databases that nobody can see; add another.
 */
export const STEPS: readonly ((names: TableNames) => string)[] = [
  createTable,
  indexForReading,
  addAttempts,
  indexForCounting,
];

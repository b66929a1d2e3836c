import { statusStoreConformance } from 'bullmq-job-status/testing';
import { test } from 'vitest';
import { createStore } from './stores.cjs';

statusStoreConformance({ test, createStore, seed: 1 });

import { statusStoreConformance } from 'bullmq-job-status/testing';
import { test } from 'vitest';
import { createStore } from './my-store.js';

statusStoreConformance({ test, createStore });

import { statusStoreConformance } from 'bullmq-job-status/testing';
import { test } from 'node:test';
import { createStore } from './my-store.js';

statusStoreConformance({ test, createStore });

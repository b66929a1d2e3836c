const { statusStoreConformance } = require('bullmq-job-status/testing');
const { test } = require('node:test');
const { createStore } = require('./stores.cjs');

statusStoreConformance({ test, createStore, seed: 1 });

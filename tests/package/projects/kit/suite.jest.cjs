const { statusStoreConformance } = require('bullmq-job-status/testing');
const { createStore } = require('./stores.cjs');

statusStoreConformance({ test, createStore, seed: 1 });

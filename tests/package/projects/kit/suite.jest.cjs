const { statusStoreConformance } = require('bullmq-job-status/testing');
const { createStore } = require('./my-store.js');

statusStoreConformance({ test, createStore });

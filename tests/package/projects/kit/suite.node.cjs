const { statusStoreConformance } = require('bullmq-job-status/testing');
const { test } = require('node:test');
const { createStore } = require('./my-store.js');

statusStoreConformance({ test, createStore });

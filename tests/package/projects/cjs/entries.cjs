// Loads every entry, and prints what that brought and what else it did.
const seen = () => ({
  globals: Reflect.ownKeys(globalThis).map(String),
  listeners: process.eventNames().map(String),
  resources: process.getActiveResourcesInfo(),
});
const entries = {};
function load(entry) {
  entries[entry] = Object.keys(require(`bullmq-job-status${entry.slice(1)}`)).sort();
}

const before = seen();
for (const entry of ['.', './memory', './migrations', './postgres', './supabase']) load(entry);
const after = seen();
// The kit is for tests; it shows values by means of node:util, with which Node 24 opens stdout.
load('./testing');
const added = (what) => after[what].filter((name) => !before[what].includes(name));

function inner() {
  try {
    return require('bullmq-job-status/dist/index.cjs');
  } catch (error) {
    return error;
  }
}

console.log(
  JSON.stringify({
    entries,
    version: require('bullmq-job-status/package.json').version,
    newGlobals: added('globals'),
    newListeners: added('listeners'),
    newResources: added('resources'),
    inner: inner().code,
  }),
);

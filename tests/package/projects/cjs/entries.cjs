// Loads every entry, and prints what that brought and what else it did.
const seen = () => ({
  globals: Reflect.ownKeys(globalThis).map(String),
  listeners: process.eventNames().map(String),
  resources: process.getActiveResourcesInfo(),
});
const before = seen();
const entries = {};
for (const entry of ['.', './memory', './migrations', './postgres', './supabase', './testing']) {
  const module = require(`bullmq-job-status${entry.slice(1)}`);
  entries[entry] = Object.keys(module).sort();
}
const after = seen();
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

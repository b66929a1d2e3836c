// Loads every entry, and prints what that brought and what else it did.
import { readFileSync } from 'node:fs';

const seen = () => ({
  globals: Reflect.ownKeys(globalThis).map(String),
  listeners: process.eventNames().map(String),
  resources: process.getActiveResourcesInfo(),
});
const before = seen();
const entries = {};
for (const entry of ['.', './memory', './migrations', './postgres', './supabase', './testing']) {
  const module = await import(`bullmq-job-status${entry.slice(1)}`);
  entries[entry] = Object.keys(module).sort();
}
const after = seen();
const added = (what) => after[what].filter((name) => !before[what].includes(name));

const manifest = new URL(import.meta.resolve('bullmq-job-status/package.json'));
const inner = await import('bullmq-job-status/dist/index.js').catch((error) => error);
console.log(
  JSON.stringify({
    entries,
    version: JSON.parse(readFileSync(manifest, 'utf8')).version,
    newGlobals: added('globals'),
    newListeners: added('listeners'),
    newResources: added('resources'),
    inner: inner.code,
  }),
);

// Loads every entry, and prints what that brought and what else it did.
import { readFileSync } from 'node:fs';

const seen = () => ({
  globals: Reflect.ownKeys(globalThis).map(String),
  listeners: process.eventNames().map(String),
  resources: process.getActiveResourcesInfo(),
});
const entries = {};
async function load(entry) {
  entries[entry] = Object.keys(await import(`bullmq-job-status${entry.slice(1)}`)).sort();
}

const before = seen();
for (const entry of ['.', './memory', './migrations', './postgres', './supabase'])
  await load(entry);
const after = seen();
// The kit is for tests; it shows values by means of node:util, with which Node 24 opens stdout.
await load('./testing');
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

// Starts every part, says so, and then goes on as it is told: `forget` ends without stopping them,
// `throw` fails, `wait` waits to be killed.

import { startParts } from './index.ts';

console.log('starting');
const parts = await startParts({ sql: '' });
const { redis, postgres, supabase } = parts;
console.log(JSON.stringify([redis.pid, postgres.pid, supabase.pid]));

const [, , then] = process.argv;
if (then === 'throw') throw new Error('a test that failed');
if (then === 'wait') setInterval(() => {}, 1_000);

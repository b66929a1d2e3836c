// The main job, on real parts: BullMQ workers run a few hundred jobs of several kinds, each worker
// tracked by one line, and in the end every row is held against what its job must have become.

import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@supabase/supabase-js';
import type { Job } from 'bullmq';
import { attachStatusTracking } from 'bullmq-job-status';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { jobsOfRound, KINDS, ROUND_MS, ROUNDS, TOTAL, type JobData } from './jobs.ts';
import { showLive } from './live.ts';
import { printReport } from './report.ts';
import { startServices } from './services.ts';
import { countingFetch, untilAllEnded, untilAllStored } from './watch.ts';
import { readAll, verify, type AddedJob } from './verify.ts';

// Ctrl-C: what was started ends with this process, however it ends.
process.once('SIGINT', () => {
  console.log('\nStopped; nothing is left running.');
  process.exit(130);
});

console.log('\nStarting, on free ports of this machine:');
await using services = await startServices((line) => console.log(`  ${line}`));
const { Queue, Worker, options, api, postgres } = services;

// Two queues, and on one of them two workers, so that attempts of one job run on both.
const queues = [new Queue<JobData>('mail', options), new Queue<JobData>('files', options)];
const processJob = async (job: Job<JobData>) => KINDS[job.name]?.run(job);
const workers = ['mail', 'mail', 'files'].map(
  (queue) => new Worker<JobData>(queue, processJob, { ...options, concurrency: 30 }),
);

// The client counts its requests for the report; any client will do.
const http = countingFetch();
const supabase = createClient(api.url, api.secretKey, { global: { fetch: http.fetch } });

// This is all that an application adds to its worker. The organization is kept so that rows can be
// found by it; without options it would be one line.
for (const worker of workers) {
  attachStatusTracking(worker, new SupabaseStatusStore(supabase), {
    metadata: (job) => ({ organizationId: job.data.organizationId }),
  });
}

// Rows are read with a client of their own, as the application's web server would.
const store = new SupabaseStatusStore(createClient(api.url, api.secretKey));

console.log(
  `\nRunning ${TOTAL} jobs, added over 5 seconds; what follows is read from the database:\n`,
);
const live = showLive(store, TOTAL);
const ended = untilAllEnded(workers, TOTAL);
const added: AddedJob[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  for (const queue of queues) added.push(...(await queue.addBulk(jobsOfRound(round, queue.name))));
  await sleep(ROUND_MS);
}

const endedAt = await ended;
const storedAfterMs = (await untilAllStored(store, TOTAL)) - endedAt;
await live.stop();

// Closing a worker also waits for its tracker: what it has seen is stored.
await Promise.all(workers.map((worker) => worker.close()));
const known = await Promise.all(queues.map((queue) => queue.getJobCountByTypes()));

// Even where a queue itself is deleted the rows stay, and only they are looked at from here on.
for (const queue of queues) {
  await queue.obliterate({ force: true });
  await queue.close();
}

const rows = await readAll(store);
const verdict = verify(added, rows);
const constraintViolations = await postgres.countInLog(/violates \w+ constraint/);
printReport(rows, verdict, {
  storedAfterMs,
  requestsPerJob: http.count / TOTAL,
  knownToBullMQ: known.reduce((sum, count) => sum + count, 0),
  constraintViolations,
});
if (verdict.faults.length + verdict.breakTimeLaw + constraintViolations > 0) process.exitCode = 1;

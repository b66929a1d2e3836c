import { Queue, Worker } from 'bullmq';
import { attachStatusTracking, MemoryStatusStore } from 'bullmq-job-status';

const connection = { host: 'localhost', port: 6379 };
const store = new MemoryStatusStore();

const worker = new Worker('exports', async (job) => `${job.data.file}.csv`, { connection });
attachStatusTracking(worker, store); // the one line

const queue = new Queue('exports', { connection });
const completed = new Promise((resolve) => worker.once('completed', resolve));
const { id = '' } = await queue.add('export', { file: 'orders' }, { removeOnComplete: true });
await completed;

await worker.close(); // resolves once every row is stored
console.log(await store.get({ queue: 'exports', jobId: id }));
await queue.close();

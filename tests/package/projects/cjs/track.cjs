// A worker of a small application, tracked. Prints what became of two jobs, and ends by itself.
const { Queue, Worker } = require('bullmq');
const { attachStatusTracking, MemoryStatusStore } = require('bullmq-job-status');

async function main() {
  const connection = JSON.parse(process.argv[2]);
  const queueName = `package-${process.pid}-${Date.now()}`;
  const queue = new Queue(queueName, { connection });
  const worker = new Worker(
    queueName,
    async (job) => {
      if (job.name === 'bad') throw new Error('no paper');
      return { pages: 7 };
    },
    { connection },
  );
  const store = new MemoryStatusStore();
  const tracker = attachStatusTracking(worker, store, {
    metadata: (job) => ({ tenant: job.data.tenant }),
  });

  const ended = new Promise((resolve) => {
    let left = 2;
    const countDown = (job) => {
      if (job.finishedOn !== undefined && --left === 0) resolve();
    };
    worker.on('completed', countDown);
    worker.on('failed', countDown);
  });
  const good = await queue.add('good', { tenant: 'acme' });
  const bad = await queue.add('bad', { tenant: 'acme' }, { attempts: 2 });
  await ended;
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();

  const rows = await Promise.all(
    [good, bad].map(({ id }) => store.get({ queue: queueName, jobId: id })),
  );
  const [completed, failed] = rows;
  console.log(
    JSON.stringify({
      good: {
        status: completed.status,
        attempt: completed.attempt,
        result: completed.result,
        metadata: completed.metadata,
      },
      bad: {
        status: failed.status,
        attempt: failed.attempt,
        error: failed.error.message,
        metadata: failed.metadata,
      },
      tracked: await store.count(),
      pending: tracker.stats().pending,
    }),
  );
}

void main();

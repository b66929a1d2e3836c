import { InjectQueue } from '@nestjs/bullmq';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { attachQueueTracking, cancelJob, type StatusStore } from 'bullmq-job-status';
import type { ExportData } from './exports.processor.js';
import { STATUS_STORE } from './status-tracking.module.js';

@Injectable()
export class ExportsService implements OnModuleInit {
  constructor(
    @InjectQueue('exports') private readonly queue: Queue<ExportData>,
    @Inject(STATUS_STORE) private readonly store: StatusStore,
  ) {}

  onModuleInit(): void {
    attachQueueTracking(this.queue, this.store);
  }

  async add(data: ExportData): Promise<string> {
    const job = await this.queue.add('export', data);
    return String(job.id);
  }

  status(jobId: string) {
    return this.store.get({ queue: 'exports', jobId });
  }

  cancel(jobId: string, by: string) {
    return cancelJob(this.queue, this.store, jobId, { by });
  }
}

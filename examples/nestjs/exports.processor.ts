import { setTimeout as sleep } from 'node:timers/promises';
import { Processor, WorkerHost } from '@nestjs/bullmq';
import type { Job } from 'bullmq';

export interface ExportData {
  readonly file: string;
  readonly pages: number;
}

@Processor('exports')
export class ExportsProcessor extends WorkerHost {
  /** Not every parameter is used, but a signal is given only where there are three. */
  override async process(job: Job<ExportData>, _token?: string, signal?: AbortSignal) {
    for (let page = 1; page <= job.data.pages; page++) {
      if (signal?.aborted) throw new Error(`Cancelled: ${signal.reason}`);
      await sleep(50);
      await job.updateProgress(page);
    }
    return `${job.data.file}.csv`;
  }
}

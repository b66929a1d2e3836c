import { BullRegistrar, WorkerHost } from '@nestjs/bullmq';
import { Global, Inject, Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService } from '@nestjs/core';
import { attachStatusTracking, type StatusStore } from 'bullmq-job-status';
import { migrate } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { Pool } from 'pg';

export const STATUS_STORE = Symbol('STATUS_STORE');

/** Tracks every processor of the application. */
@Injectable()
export class StatusTracking implements OnApplicationBootstrap {
  constructor(
    @Inject(STATUS_STORE) private readonly store: StatusStore,
    private readonly registrar: BullRegistrar,
    private readonly discovery: DiscoveryService,
  ) {}

  onApplicationBootstrap(): void {
    this.registrar.register(); // makes the workers
    for (const { instance } of this.discovery.getProviders()) {
      if (instance instanceof WorkerHost) attachStatusTracking(instance.worker, this.store);
    }
  }
}

const storeProvider = {
  provide: STATUS_STORE,
  async useFactory(): Promise<StatusStore> {
    // Never ended: Nest closes your modules before BullMQ's, and rows are stored until then.
    const pool = new Pool({
      connectionString: process.env['DATABASE_URL'],
      allowExitOnIdle: true,
    });
    await migrate(pool);
    return new PostgresStatusStore(pool);
  },
};

@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [StatusTracking, storeProvider],
  exports: [STATUS_STORE],
})
export class StatusTrackingModule {}

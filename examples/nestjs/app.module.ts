import { BullModule } from '@nestjs/bullmq';
import { Module } from '@nestjs/common';
import { ExportsProcessor } from './exports.processor.js';
import { ExportsService } from './exports.service.js';
import { StatusTrackingModule } from './status-tracking.module.js';

@Module({
  imports: [
    BullModule.forRoot({
      connection: { host: 'localhost', port: 6379 },
      // Workers are made by StatusTracking, which tracks them at once.
      extraOptions: { manualRegistration: true },
    }),
    BullModule.registerQueue({ name: 'exports' }),
    StatusTrackingModule,
  ],
  providers: [ExportsProcessor, ExportsService],
})
export class AppModule {}

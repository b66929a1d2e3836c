// The Supabase-compatible API, as a process of its own: a worker that is measured must not share
// its event loop with the server it writes to. Started by `supabase.ts`, which tells it what to do
// in one environment variable and learns the port from the line it prints.

import { serve } from '@hono/node-server';
import { App } from '@supabase/lite';
import { createPostgresConnection } from '@supabase/lite/postgres';
import { mendFilters } from './supabase-filters.ts';
import { mendConnection, postgresTypes } from './supabase-mends.ts';

export interface ApiTask {
  readonly connectionString: string;
  readonly schemas: readonly string[];
  readonly secretKey: string;
  readonly publishableKey: string;
  readonly jwtSecret: string;
}

const task = JSON.parse(process.env['SUPABASE_API_TASK'] ?? '{}') as ApiTask;
const connection = createPostgresConnection({
  url: task.connectionString,
  postgresOptions: { types: postgresTypes, onnotice: () => {} },
});
mendConnection(connection);

const app = new App({
  connection,
  api: { schemas: [...task.schemas] },
  auth: {
    secret_key: task.secretKey,
    publishable_key: task.publishableKey,
    jwt_secret: task.jwtSecret,
  },
});
// Without the auth schema every signed-in request is answered with a bare 500.
await app.ensureSystemSchema();

let requests = 0;

const server = serve(
  {
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname.startsWith('/rest/v1/')) {
        requests += 1;
        return app.fetch(new Request(mendFilters(request.url), request));
      }
      if (pathname === '/parts/requests') return Response.json(requests);
      if (pathname === '/parts/reload') {
        // What `notify pgrst, 'reload schema'` does at Supabase, but one knows when it is done.
        await connection.introspect({ useCache: false });
        return Response.json(true);
      }
      return app.fetch(request);
    },
  },
  ({ port }) => console.log(`API listens on port ${port}.`),
);
// Idle connections are the client's to close: one that we close while it sends is an error there.
if ('keepAliveTimeout' in server) server.keepAliveTimeout = 0;

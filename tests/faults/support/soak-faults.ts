import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpFault, HttpProxy } from './http-proxy.ts';
import type { TcpProxy } from './tcp-proxy.ts';

/** How long a fault lasts, and how long all is well after it, in ms. */
const FAULT_MS = 4_000;
const PASS_MS = 1_500;

/** The way to Postgres breaks in every way, in turn. */
const DATABASE_FAULTS: readonly ((proxy: TcpProxy) => void | Promise<void>)[] = [
  async (proxy) => {
    for (let times = 0; times < 8; times++) {
      proxy.cut();
      await sleep(FAULT_MS / 8);
    }
  },
  (proxy) => proxy.stall(),
  (proxy) => proxy.slowDown(150),
  (proxy) => proxy.loseAnswers(/./s, 3),
  (proxy) => proxy.refuse(),
];

/** And the way to the API. */
const API_FAULTS: readonly (() => HttpFault)[] = [
  () => ({ status: 503, body: 'upstream is away' }),
  () => ({ status: 429, headers: { 'retry-after': '1' }, body: '{"message":"too many"}' }),
  () => 'hang',
  () => (Math.random() < 0.5 ? 'lose' : 'pass'),
  () => (Math.random() < 0.5 ? 'truncate' : 'pass'),
  () => (Math.random() < 0.3 ? 'hang' : 'pass'),
];

/** Breaks both ways again and again, each time otherwise, for at least so long; then all is well. */
export function createFaults(database: TcpProxy, api: HttpProxy) {
  let turn = 0;
  return async function breakFor(ms: number): Promise<void> {
    const start = performance.now();
    while (performance.now() - start < ms) {
      const apiFault = API_FAULTS[turn % API_FAULTS.length];
      if (apiFault !== undefined) api.answers(apiFault);
      const breakDatabase = DATABASE_FAULTS[turn % DATABASE_FAULTS.length];
      turn += 1;
      await Promise.all([breakDatabase?.(database), sleep(FAULT_MS)]);
      api.answers('pass');
      await database.pass();
      await sleep(PASS_MS);
    }
  };
}

import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';

/** A proxy before a server, by which the way there can be broken; bytes it passes on it never changes. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Where connections lead that are made from now on. */
  leadTo(port: number): void;
  /** All as it should be: connections are taken, and what was held back flows on. */
  pass(): Promise<void>;
  /** Ends the connections that there are; new ones are taken. */
  cut(): void;
  /** Ends the connections that there are, and takes no new ones: ECONNREFUSED. */
  refuse(): Promise<void>;
  /** Nothing flows any more, in either direction, and nobody is told: connections stay open. */
  stall(): void;
  /** The same for the connections that there are now; new ones are as they should be. */
  freeze(): void;
  /** What is stalled stays so, for ever; new connections are as they should be. */
  passNew(): void;
  /** Each piece of an answer comes so much later. */
  slowDown(ms: number): void;
  /**
   * The request reaches the server and is done; its answer is lost, and the connection ends.
   *
   * @param request what the request's bytes must match
   * @param every how many of those that match it befalls one. @default 1
   */
  loseAnswers(request: RegExp, every?: number): void;
  /** What was done to connections so far. */
  readonly counts: { cut: number; answersLost: number };
}

/** @param target the port that it leads to. @param host its host. @default loopback */
export async function startTcpProxy(target: number, host = '127.0.0.1'): Promise<TcpProxy> {
  const sockets = new Set<readonly [client: Socket, server: Socket]>();
  const counts = { cut: 0, answersLost: 0 };
  let leadsTo = target;
  let isStalled = false;
  let delayMs = 0;
  let losing: { request: RegExp; every: number } | undefined;
  let matches = 0;

  const proxy = createServer((client) => {
    const server = connect(leadsTo, host);
    const pair = [client, server] as const;
    let isAnswerLost = false;
    /** When the last piece that was delayed is due: none overtakes another. */
    let dueAt = 0;
    sockets.add(pair);
    const end = () => {
      sockets.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of pair) socket.setNoDelay(true).on('error', end).on('close', end);
    client.on('data', (bytes) => {
      if (losing?.request.test(bytes.toString('latin1')))
        isAnswerLost = matches++ % losing.every === 0;
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (isAnswerLost) {
        counts.answersLost += 1;
        end();
        return;
      }
      const now = performance.now();
      dueAt = Math.max(dueAt, now + delayMs);
      if (dueAt <= now) client.write(bytes);
      else setTimeout(() => client.destroyed || client.write(bytes), dueAt - now);
    });
    if (isStalled) for (const socket of pair) socket.pause();
  });

  async function listen(port: number): Promise<number> {
    proxy.listen(port, '127.0.0.1');
    await once(proxy, 'listening');
    return (proxy.address() as { port: number }).port;
  }

  function cut(): void {
    for (const [client] of sockets) {
      counts.cut += 1;
      client.destroy();
    }
  }

  function freeze(): void {
    for (const pair of sockets) for (const socket of pair) socket.pause();
  }

  const port = await listen(0);
  return {
    port,
    counts,
    leadTo(next) {
      leadsTo = next;
    },
    async pass() {
      isStalled = false;
      delayMs = 0;
      losing = undefined;
      for (const pair of sockets) for (const socket of pair) socket.resume();
      if (!proxy.listening) await listen(port);
    },
    cut,
    async refuse() {
      const closed = once(proxy, 'close');
      proxy.close();
      cut();
      await closed;
    },
    stall() {
      isStalled = true;
      freeze();
    },
    freeze,
    passNew() {
      isStalled = false;
    },
    slowDown(ms) {
      delayMs = ms;
    },
    loseAnswers(request, every = 1) {
      losing = { request, every };
    },
    async [Symbol.asyncDispose]() {
      if (proxy.listening) proxy.close();
      cut();
    },
  };
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** What becomes of a request. */
export type HttpFault =
  | 'pass'
  /** No answer, ever; the request does not reach the API. */
  | 'hang'
  /** It is done, and the answer breaks off in its middle. */
  | 'truncate'
  /** It is done, and the connection ends without an answer. */
  | 'lose'
  /** It does not reach the API; this is answered. */
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    };

export interface HttpRequest {
  /** When it came, by `performance.now()`. */
  readonly at: number;
  /** Who sent it, by the header `x-tracker`. */
  readonly tracker: string | undefined;
  /** What became of it. */
  readonly fault: HttpFault;
}

/** A proxy before an HTTP API that answers in the API's place, or spoils its answers. */
export interface HttpProxy extends AsyncDisposable {
  readonly url: string;
  /** Sets what becomes of each request from now on. */
  answers(fault: HttpFault | ((request: IncomingMessage) => HttpFault)): void;
  /** Each request so far. */
  readonly requests: HttpRequest[];
  /** How many of those that hang are still waited for. */
  readonly waitedFor: () => number;
}

export async function startHttpProxy(api: string): Promise<HttpProxy> {
  let faultOf: (request: IncomingMessage) => HttpFault = () => 'pass';
  const requests: HttpRequest[] = [];
  let waitedFor = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = performance.now();
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    const fault = faultOf(request);
    requests.push({ at, tracker: request.headers['x-tracker']?.toString(), fault });
    if (fault === 'hang') {
      waitedFor += 1;
      response.on('close', () => (waitedFor -= 1));
      return;
    }
    if (typeof fault === 'object') {
      response.writeHead(fault.status, fault.headers);
      response.end(fault.body);
      return;
    }
    const { method = 'GET', url = '/', headers } = request;
    const { host: _host, connection: _connection, 'content-length': _length, ...passed } = headers;
    const answered = await fetch(`${api}${url}`, {
      method,
      headers: passed as Record<string, string>,
      ...(body.length > 0 && { body }),
    });
    const text = Buffer.from(await answered.arrayBuffer());
    if (fault === 'lose') return void response.destroy();
    const { status } = answered;
    const type = answered.headers.get('content-type') ?? 'application/json';
    response.writeHead(status, {
      'content-type': type,
      'content-length': text.length,
      ...Object.fromEntries([...answered.headers].filter(([name]) => name === 'content-range')),
    });
    if (fault === 'pass') return void response.end(text);
    response.write(text.subarray(0, text.length / 2), () => response.destroy());
  }

  const server = createServer((request, response) => {
    // Who asked may be gone by now; the answer is then of no use.
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    waitedFor: () => waitedFor,
    answers(fault) {
      faultOf = typeof fault === 'function' ? fault : () => fault;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

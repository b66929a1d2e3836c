import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { WebSocket, WebSocketServer } from 'ws';
import { decode, type Change, type Relation } from './pgoutput.ts';

/**
 * A stand-in for Supabase's Realtime, which needs more than a machine with npm has. It speaks the part of its
 * protocol that `postgres_changes` takes, and what it sends are the real changes of a publication, read
 * off a logical replication slot, each only to who may read its row. In front of the API, so that one
 * URL has both, as a project's does.
 */
export interface RealtimePart extends AsyncDisposable {
  readonly url: string;
  /** Every change that was sent to somebody, in order. */
  readonly sent: readonly Change[];
  /** Every change that somebody should have got and did not. */
  readonly lost: readonly Change[];
  /** How many requests have gone to the API. */
  requests(): number;
  /** How many channels have been joined and not left. */
  joined(): number;
  /** Cuts all connections, as a lost network does. */
  cut(): void;
  /** While it is on: changes are lost, changes wait, joined channels do not get changes yet, the API fails. */
  set(fault: Fault, isOn: boolean): void;
  stop(this: void): Promise<void>;
}

export type Fault = 'lose' | 'hold' | 'not yet' | 'no api';

export interface StartRealtimeOptions {
  readonly apiUrl: string;
  readonly connectionString: string;
  /** @default "supabase_realtime" */
  readonly publication?: string;
}

/** A message of Phoenix channels, version 2. */
type Message = readonly [
  joinRef: string | null,
  ref: string | null,
  topic: string,
  event: string,
  payload: Payload,
];
interface Payload {
  readonly access_token?: string;
  readonly config?: { readonly postgres_changes?: readonly Binding[] };
}
interface Binding {
  readonly event: string;
  readonly schema: string;
  readonly table?: string;
}

/** A channel that somebody has joined. */
interface Subscription {
  readonly socket: WebSocket;
  readonly topic: string;
  readonly bindings: readonly Binding[];
  claims: Readonly<Record<string, unknown>>;
  isOn: boolean;
}

export async function startRealtime(options: StartRealtimeOptions): Promise<RealtimePart> {
  const { apiUrl, connectionString, publication = 'supabase_realtime' } = options;
  const faults = new Set<Fault>();
  const subscriptions = new Set<Subscription>();
  const sent: Change[] = [];
  let requests = 0;
  const lost: Change[] = [];

  // Apart, for a temporary slot goes with the first error of its connection.
  const [database, asker] = [new Client({ connectionString }), new Client({ connectionString })];
  await Promise.all([database.connect(), asker.connect()]);
  const slot = `realtime_${process.pid}_${Date.now()}`;
  await database.query("select pg_create_logical_replication_slot($1, 'pgoutput', true)", [slot]);

  const server = createServer((request, response) => {
    requests += 1;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = 'GET', url = '/', headers } = request;
      const { host: _, connection: __, 'content-length': ___, ...passedOn } = headers;
      const body = chunks.length > 0 ? Buffer.concat(chunks) : null;
      const path = faults.has('no api') ? '/nowhere' : url;
      const init = { method, headers: passedOn as Record<string, string>, body };
      void fetch(`${apiUrl}${path}`, init).then(
        async (answer) => {
          response.writeHead(answer.status, { 'content-type': 'application/json' });
          return response.end(await answer.text());
        },
        () => response.destroy(),
      );
    });
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data: Buffer) => {
      receive(socket, JSON.parse(data.toString()) as Message);
    });
    socket.on('close', () => {
      for (const each of subscriptions) if (each.socket === socket) subscriptions.delete(each);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  function receive(socket: WebSocket, [joinRef, ref, topic, event, payload]: Message): void {
    const of = [...subscriptions].find((each) => each.socket === socket && each.topic === topic);
    const reply = (response: object) =>
      send(socket, [joinRef, ref, topic, 'phx_reply', { status: 'ok', response }]);
    if (event === 'phx_join') {
      const bindings = payload.config?.postgres_changes ?? [];
      const claims = claimsOf(payload.access_token);
      const joined: Subscription = { socket, topic, bindings, claims, isOn: false };
      subscriptions.add(joined);
      reply({ postgres_changes: bindings.map((binding, at) => ({ id: at + 1, ...binding })) });
      turnOn(joined);
    } else if (event === 'access_token' && of !== undefined) {
      of.claims = claimsOf(payload.access_token);
    } else if (event === 'phx_leave') {
      if (of !== undefined) subscriptions.delete(of);
      reply({});
    } else if (event === 'heartbeat') {
      reply({});
    }
  }

  /** What the real one does some moments after the join: only from here on it sends changes. */
  function turnOn(subscription: Subscription): void {
    if (faults.has('not yet') || subscription.isOn) return;
    subscription.isOn = true;
    const { socket, topic } = subscription;
    const message = 'Subscribed to PostgreSQL';
    const told = { status: 'ok', message, extension: 'postgres_changes', channel: topic };
    send(socket, [null, null, topic, 'system', told]);
  }

  async function pass(change: Change): Promise<void> {
    const { relation } = change;
    for (const subscription of subscriptions) {
      const ids = subscription.bindings.flatMap(({ event, schema, table }, at) => {
        const fits = event === '*' || event === change.type;
        const isOf = schema === relation.schema && (table ?? relation.name) === relation.name;
        return fits && isOf ? [at + 1] : [];
      });
      if (ids.length === 0) continue;
      if (!subscription.isOn) {
        lost.push(change);
        continue;
      }
      // Of a row that is gone, nobody can be asked whether he may read it: its key goes to everybody.
      if (change.type !== 'DELETE' && !(await mayRead(subscription.claims, change))) continue;
      sent.push(change);
      send(subscription.socket, [
        null,
        null,
        subscription.topic,
        'postgres_changes',
        { ids, data: dataOf(change) },
      ]);
    }
  }

  /** Asks as the subscriber whether the row is there. */
  async function mayRead(
    claims: Subscription['claims'],
    { relation, row }: Change,
  ): Promise<boolean> {
    const keys = relation.columns.filter(({ isKey }) => isKey).map(({ name }) => name);
    const where = keys.map((name, at) => `"${name}"::text = $${at + 1}`).join(' and ');
    const sub = typeof claims['sub'] === 'string' ? claims['sub'] : '';
    try {
      await asker.query('begin');
      await asker.query(
        "select set_config('request.jwt.claims', $1, true), set_config('request.jwt.claim.sub', $2, true), set_config('role', $3, true)",
        [JSON.stringify(claims), sub, claims['role']],
      );
      const { rowCount } = await asker.query(
        `select 1 from "${relation.schema}"."${relation.name}" where ${where}`,
        keys.map((name) => row[name]),
      );
      return rowCount === 1;
    } catch (error) {
      if ((error as { code?: string }).code === '42501') return false;
      throw error;
    } finally {
      await asker.query('rollback');
    }
  }

  let isStopped = false;
  const relations = new Map<number, Relation>();
  const held: Change[] = [];
  const following = (async () => {
    while (!isStopped) {
      const { rows } = await database.query<{ data: Buffer }>(
        "select data from pg_logical_slot_get_binary_changes($1, null, null, 'proto_version', '1', 'publication_names', $2)",
        [slot, publication],
      );
      for (const { data } of rows) {
        const change = decode(data, relations);
        if (change === undefined) continue;
        if (faults.has('lose')) lost.push(change);
        else held.push(change);
      }
      if (!faults.has('hold')) for (const change of held.splice(0)) await pass(change);
      if (rows.length === 0) await sleep(10);
    }
  })();

  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await following;
    await Promise.all([database.end(), asker.end()]);
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent,
    lost,
    requests: () => requests,
    joined: () => subscriptions.size,
    cut: () => {
      for (const socket of sockets.clients) socket.terminate();
    },
    set: (fault, isOn) => {
      if (isOn) faults.add(fault);
      else faults.delete(fault);
      for (const each of subscriptions) turnOn(each);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function send(socket: WebSocket, message: readonly unknown[]): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

/** The claims of a token. The API checks the signature of the same one; this takes it as it is. */
function claimsOf(token: string | undefined): Subscription['claims'] {
  const [, payload] = token?.split('.') ?? [];
  if (payload === undefined) return { role: 'anon' };
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Subscription['claims'];
}

/** A change as Realtime tells it. */
function dataOf({ type, relation, row }: Change): object {
  const { schema, name, columns } = relation;
  return {
    type,
    schema,
    table: name,
    commit_timestamp: new Date().toISOString(),
    columns: columns.map((column) => ({ name: column.name, type: 'text' })),
    ...(type === 'DELETE' ? { old_record: row } : { record: row, old_record: {} }),
    errors: null,
  };
}

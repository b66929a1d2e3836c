import type { Place, ResolvedFilter } from './query.ts';

/* supabase-js, as far as it is called here; `SupabaseClientLike` says less, so that every client fits. */

export interface Api {
  rpc(fn: string, args: object, options?: Counted): Call;
  from(table: string): Table;
}

interface Counted {
  readonly count: 'exact';
}

interface Request extends PromiseLike<Response> {
  abortSignal(signal: AbortSignal): PromiseLike<Response>;
  fetch?: typeof fetch;
}

/** A function's answer: where that is rows, they can be asked for as a table's are. */
interface Call extends Request {
  select(columns: string): Filter;
}

export interface Table {
  select(columns: string, options?: Counted): Filter;
  delete(options: Counted): Filter;
}

export interface Filter extends Request {
  eq(column: string, value: string): Filter;
  in(column: string, values: readonly string[]): Filter;
  gte(column: string, value: string): Filter;
  lt(column: string, value: string): Filter;
  lte(column: string, value: string): Filter;
  filter(column: string, operator: 'in', list: string): Filter;
  contains(column: string, value: object): Filter;
  or(conditions: string): Filter;
  order(column: string, options: { ascending: boolean }): Filter;
  limit(count: number): Filter;
}

export interface Response {
  readonly data: unknown;
  readonly count: number | null;
  readonly status: number;
  readonly error: {
    message?: string;
    readonly code?: string;
    readonly details?: string;
  } | null;
}

/** What came back, and how long the API asks to be left alone, in ms, where it does. */
export interface Answer extends Response {
  readonly retryAfterMs: number | undefined;
}

/** Sends a request. supabase-js hands no header on; the `fetch` that each request has of its client sees them. */
export async function send(request: Request, signal?: AbortSignal): Promise<Answer> {
  const { fetch } = request;
  let retryAfter: string | null = null;
  if (typeof fetch === 'function') {
    request.fetch = async (...args) => {
      const response = await fetch(...args);
      retryAfter = response.headers?.get('retry-after') ?? null;
      return response;
    };
  }
  const response = await (signal === undefined ? request : request.abortSignal(signal));
  return { ...response, retryAfterMs: msOf(retryAfter) };
}

/** `Retry-After` is a number of seconds, or a date. */
function msOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined;
  const isSeconds = /^\d+$/.test(retryAfter);
  const ms = isSeconds ? Number(retryAfter) * 1_000 : Date.parse(retryAfter) - Date.now();
  return Math.max(0, ms) || undefined;
}

/** What a gateway says in place of the API is a page: its words, on one line, and not too many. */
export function brief(message: string): string {
  const beginning = message.slice(0, 5_000);
  if (!/^\s*</.test(beginning)) return beginning.slice(0, 1_000);
  const words = beginning.replaceAll(/<[^>]{0,500}>|\s/g, ' ').replaceAll(/ +/g, ' ');
  return words.trim().slice(0, 300);
}

/** Narrows a request by all conditions but `jobId`, for which a URL may have no room. */
export function where(request: Filter, filter: ResolvedFilter): Filter {
  const { queue, name, status, metadata } = filter;
  let narrowed = request;
  if (queue !== undefined) narrowed = narrowed.eq('queue', queue);
  if (name !== undefined) narrowed = narrowed.eq('name', name);
  if (status !== undefined) narrowed = narrowed.in('status', status);
  if (metadata !== undefined) narrowed = narrowed.contains('metadata', metadata);
  const from = (column: string, time: Date | undefined) => {
    if (time !== undefined) narrowed = narrowed.gte(column, time.toISOString());
  };
  const before = (column: string, time: Date | undefined) => {
    if (time !== undefined) narrowed = narrowed.lt(column, time.toISOString());
  };
  from('created_at', filter.createdFrom);
  before('created_at', filter.createdBefore);
  from('finished_at', filter.finishedFrom);
  before('finished_at', filter.finishedBefore);
  before('updated_at', filter.updatedBefore);
  return narrowed;
}

/** PostgREST's condition for the rows after a place, in descending order. */
export function isAfter({ createdAt, queue, jobId }: Place): string {
  const [time, inQueue, id] = [createdAt.toISOString(), queue, jobId].map(quote);
  return `created_at.lt.${time},and(created_at.eq.${time},queue.lt.${inQueue}),and(created_at.eq.${time},queue.eq.${inQueue},job_id.lt.${id})`;
}

/** How long a list of values may be in a URL, as it is written there. */
const MAX_LIST_LENGTH = 4_000;

/** Texts as lists of PostgREST's filter language, each short enough for a URL. */
export function* listsForUrls(texts: readonly string[]): Generator<string> {
  let list: string[] = [];
  let length = 0;
  for (const text of texts.map(quote)) {
    const added = encodeURIComponent(`${text},`).length;
    if (list.length > 0 && length + added > MAX_LIST_LENGTH) {
      yield `(${list.join(',')})`;
      [list, length] = [[], 0];
    }
    list.push(text);
    length += added;
  }
  if (list.length > 0) yield `(${list.join(',')})`;
}

/** A value, or a name, within PostgREST's query language. */
export function quote(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

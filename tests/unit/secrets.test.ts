import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { asStoreError, JobStatusError } from '../../src/errors.ts';
import { hush, hushFields, withoutSecrets } from '../../src/secrets.ts';
import { brief } from '../../src/stores/supabase-api.ts';

/* What clients quote of credentials and rows in their errors gets no further than their owner. */

const PASSWORD = 'pa55-w0rd';
const KEY = 'sb_secret_abcDEF-123_456';
const TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.s1gn-ature_x';

/** An error as people print it, with all its causes, and as loggers do. */
function printed(error: JobStatusError): string {
  return inspect(error, { depth: 10 }) + String(error.stack) + JSON.stringify([error, error.cause]);
}

test.each<[string, string, string]>([
  ['a URL', `connect to postgres://app:${PASSWORD}@db:5432/x failed`, PASSWORD],
  ['a URL with an @ in its password', `at redis://:${PASSWORD}@@db:6379 it failed`, PASSWORD],
  ['a connection string', `host=db password=${PASSWORD} user=app: no`, PASSWORD],
  ['a key', `invalid key ${KEY}`, KEY],
  ['a token', `JWT ${TOKEN} expired`, TOKEN],
  ['a header', `Headers.set: "Bearer ${KEY}\nx" is an invalid header value.`, KEY],
  [
    'a header of another kind',
    `Headers.append: "my ${PASSWORD}\n" is an invalid header value.`,
    PASSWORD,
  ],
  ['a bearer', `authorization: bearer ${PASSWORD}`, PASSWORD],
])('%s quoted by a client: in no message, stack or cause', (_, message, secret) => {
  const cause = new TypeError(message, { cause: new Error(message) });
  const error = new JobStatusError('ERR_STORE_UNAVAILABLE', `It failed: ${message}`, { cause });
  expect(printed(error)).not.toContain(secret);
  expect(error.message).toContain('...');
  expect(error.cause).toBe(cause);
});

test('a message without a secret is left as it is', () => {
  const message = 'duplicate key "a@b" in postgres://db:5432/x; see https://example.com/a?b=c';
  const cause = new Error(message);
  const error = new JobStatusError('ERR_STORE_REFUSED', message, { cause });
  expect([error.message, cause.message]).toEqual([message, message]);
});

test.each(['detail', 'details', 'where', 'internalQuery', 'command', 'input'])(
  'what a client’s error has as `%s` is there for who asks, and in no log',
  (name) => {
    const value = name === 'command' ? { name: 'auth', args: [PASSWORD] } : `row (${PASSWORD})`;
    const cause = Object.assign(new Error('no'), { [name]: value });
    const error = new JobStatusError('ERR_STORE_REFUSED', 'no', {
      cause: new Error('outer', { cause }),
    });
    expect(printed(error)).not.toContain(PASSWORD);
    expect((cause as unknown as Record<string, unknown>)[name]).toEqual(value);
  },
);

test('a URL that is none: Node keeps it beside the error', () => {
  const url = `postgres://app:${PASSWORD}@ db/x`;
  const cause = (() => {
    try {
      return new URL(url);
    } catch (error) {
      return error;
    }
  })();
  expect(inspect(cause)).toContain(PASSWORD);
  expect(printed(new JobStatusError('ERR_STORE_UNAVAILABLE', 'no', { cause }))).not.toContain(
    PASSWORD,
  );
});

test('a gateway’s page, and a value that Postgres quotes, are cut', () => {
  const page = { message: '<p>x</p>'.repeat(10_000) };
  hushFields(page);
  expect(page.message.length).toBe(1_000);
  const cause = new Error(`invalid input: "${'x'.repeat(60_000)}"`);
  const error = asStoreError(cause);
  expect([error.message.length, cause.message.length]).toEqual([1_018, 1_000]);
});

test('frozen errors, circles of causes and what is no error do no harm, and are left as they are', () => {
  const circle = new Error('circle');
  circle.cause = circle;
  const hostile = new Proxy(new Error('hostile'), {
    get: () => {
      throw new Error('trap');
    },
  });
  const frozen = Object.freeze(new Error(`bearer ${KEY}`));
  const job = { message: `bearer ${KEY}`, input: 1, command: 2 };
  for (const cause of [frozen, circle, hostile, job, null, undefined, 'text', 5n])
    expect(new JobStatusError('ERR_STORE_UNAVAILABLE', 'no', { cause }).cause).toBe(cause);
  expect(JSON.stringify(job)).toBe(
    JSON.stringify({ message: `bearer ${KEY}`, input: 1, command: 2 }),
  );
  // A field that can't be read keeps no other from it.
  const odd = Object.assign(new Error(`bearer ${KEY}`), { detail: 'row' });
  Object.defineProperty(odd, 'stack', {
    get: () => {
      throw new Error('trap');
    },
  });
  hush(odd);
  expect([odd.message, Object.keys(odd)]).toEqual(['bearer ...', []]);
});

test('what a hook threw is the user’s own, down to its causes', () => {
  const data = new Error(`bearer ${KEY}`);
  const cause = new Error('no tenant', { cause: Object.assign(data, { input: 'x' }) });
  new JobStatusError('ERR_HOOK_FAILED', 'no', { cause });
  expect([data.message, Object.keys(data)]).toEqual([`bearer ${KEY}`, ['input']]);
});

test.each([
  'file:///app/node_modules/.pnpm/pg-pool@3.6.1_pg@8.11.3/x.js:1:2',
  'https://api.example.com/users/@alice',
  'https://host:8080/users/@alice',
  'password authentication failed for user "app"',
])('%s holds no secret', (message) => {
  expect(withoutSecrets(message)).toBe(message);
});

test.each([
  '<',
  'http://ab.cd/e,',
  'a://',
  'a://b:',
  '"',
  'eyJaaaaaa.',
  'password=',
  ' ',
  'bearer ',
])('a long text of %j takes no time to speak of', (piece) => {
  const text = piece.repeat(200_000 / piece.length);
  const start = performance.now();
  withoutSecrets(text);
  brief(text);
  // Where the time grew with the square of the length, it was seconds.
  expect(performance.now() - start).toBeLessThan(500);
});

import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { JobStatusError } from '../../src/errors.ts';

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

test('a gateway’s page is cut, frozen errors and circles of causes do no harm', () => {
  const page = { message: '<p>x</p>'.repeat(10_000) };
  expect(
    printed(new JobStatusError('ERR_STORE_UNAVAILABLE', 'no', { cause: page })).length,
  ).toBeLessThan(5_000);
  const circle = new Error('circle');
  circle.cause = circle;
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new Error('trap');
      },
    },
  );
  for (const cause of [
    Object.freeze(new Error(`bearer ${KEY}`)),
    circle,
    hostile,
    null,
    undefined,
    'text',
    5n,
  ])
    expect(new JobStatusError('ERR_STORE_UNAVAILABLE', 'no', { cause }).cause).toBe(cause);
});

import { codeOf, messageOf } from '../errors.ts';

/** Where a server is. */
export interface Address {
  readonly url: string;
  /** Where it was given, for errors: they never show the URL itself, which holds a password. */
  readonly source: string;
}

/** What an address may look like, and where it may be given. */
export interface AddressKind {
  /** As in "No … given". */
  readonly what: string;
  readonly flag: string;
  /** The variable of the environment that stands in for the flag, if there is one. */
  readonly variable?: string;
  readonly schemes: readonly string[];
  readonly example: string;
}

/** How long a server has to answer at first. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** The address that a flag or the environment gives. */
export function addressOf(given: string | undefined, kind: AddressKind): Address {
  const { what, flag, variable, schemes, example } = kind;
  const ofEnvironment = variable === undefined ? undefined : process.env[variable];
  // An empty flag is a variable that a script forgot to set: not to be read as "the default one".
  const url = given ?? ofEnvironment ?? '';
  const source = given === undefined ? String(variable) : flag;
  if (url === '') {
    throw new Error(
      given === undefined
        ? `No ${what} given: set ${variable}, or add ${flag} <url>`
        : `${flag} is empty`,
    );
  }
  // A "/", "?" or "#" in a password ends the part that it belongs to, and what follows would be taken
  // for a host: an "@" behind it gives that away.
  if (!new RegExp(`^(?:${schemes.join('|')})://[^/?#]*(?:[/?][^@#]*)?$`).test(url)) {
    throw new Error(
      `${source} is no connection string like ${example}. ` +
        'Special characters in a password are written as % and two digits: # as %23, / as %2F, ? as %3F, @ as %40',
    );
  }
  return { url, source };
}

/** Why a server could not be connected to, and what to look at. */
export function connectError(what: string, { url, source }: Address, error: unknown): Error {
  return new Error(
    `Can't connect to ${what}${placeOf(url)}: ${reasonOf(error)}. ` +
      `Check that it runs, and host, user, password and database in ${source}`,
    { cause: error },
  );
}

/** Host and port. Where there is no user and no password, what stands there might be them. */
function placeOf(url: string): string {
  if (!URL.canParse(url)) return '';
  const { username, password, host } = new URL(url);
  return (username === '' && password === '') || host === '' ? '' : ` at ${host}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it broke the connection off',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'its host name could not be looked up',
};

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (Object.hasOwn(REASONS, code)) return `${REASONS[code]} (${code})`;
  // A system's own message names the host too; see `placeOf`.
  if (typeof error === 'object' && error !== null && ('syscall' in error || 'errors' in error))
    return code;
  const message = messageOf(error);
  if (message === 'timeout expired') return `no answer within ${CONNECT_TIMEOUT_MS / 1000} s`;
  // Redis' own words for it are about its protocol.
  if (message.startsWith('NOAUTH')) return 'it asks for a password';
  return message.replace(/\.$/, '');
}

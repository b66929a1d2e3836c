/*
 * Clients quote credentials, rows and commands in their errors, and errors get logged. What is handed on of them
 * is made fit for that.
 */

/**
 * What pg, ioredis, undici and supabase-js quote of credentials: a URL's password, a header's value that can't
 * be sent, a bearer's token, Supabase's keys, which were JSON Web Tokens once, and what is named as a password
 * or key. Every repetition that something must follow is bounded, for texts may be long.
 */
const SECRETS = new RegExp(
  [
    String.raw`(?<=:\/\/[^\s"'<>/@:]{0,100}:)(?!\d+[/?])[^\s"'<>]{1,200}(?=@)`,
    String.raw`(?<=")[^"]{0,5000}(?=" is an invalid header value)`,
    String.raw`(?<=bearer )[^\s"']+`,
    String.raw`\bsb_secret_[\w-]+`,
    String.raw`\beyJ[\w-]{5,2000}\.[\w-]{5,2000}\.[\w-]+`,
    String.raw`(?<=(?:passw(?:or)?d|api_?key)"?\s?[=:]\s?["']?)[^\s&"',;]+`,
  ].join('|'),
  'gi',
);

/** Text as errors may have it. */
export function withoutSecrets(text: string): string {
  return text.replace(SECRETS, '...');
}

/** What clients add to their errors that quotes rows (Postgres), commands (Redis) or addresses (URL). */
const QUOTING = ['detail', 'details', 'where', 'internalQuery', 'command', 'input', 'base'];

/** Takes the value out of what Postgres says of one that it can't take: it quotes it. */
export function forgetValue(error: { message?: string; stack?: string }): void {
  const { message = '', stack } = error;
  const rest = message.replace(/".*"/s, '"..."');
  error.message = rest;
  if (stack !== undefined) error.stack = stack.replace(message, () => rest);
}

/** How much is kept of a text, in UTF-16 units: a gateway answers with a page, and Postgres quotes a value. */
const MAX_LENGTH: Readonly<Record<string, number>> = { message: 1_000, stack: 10_000 };

/** How many causes, each the next one's, are looked at. */
const MAX_CAUSES = 5;

/** Makes an error of a client's own making fit for logs, and the errors that caused it. */
export function hush(thrown: unknown): void {
  let error = thrown;
  try {
    for (let depth = 0; depth < MAX_CAUSES && error instanceof Error; depth++) {
      hushFields(error);
      error = error.cause;
    }
  } catch {
    // A proxy with traps of its own.
  }
}

/** The same for what is no `Error`, but nobody else's either. */
export function hushFields(error: object): void {
  const fields = error as Record<string, unknown>;
  for (const name of [...Object.keys(MAX_LENGTH), ...QUOTING]) {
    try {
      const value = fields[name];
      if (typeof value === 'string') {
        const hushed = withoutSecrets(value.slice(0, MAX_LENGTH[name]));
        if (hushed !== value) fields[name] = hushed;
      }
      if (QUOTING.includes(name) && Object.hasOwn(error, name))
        Object.defineProperty(error, name, { enumerable: false });
    } catch {
      // Frozen, or with a getter of its own: it is what its owner made it.
    }
  }
}

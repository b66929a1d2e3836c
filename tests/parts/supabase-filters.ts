// What PostgREST takes a filter's value for is text, which Postgres then casts to the column's type.
// @supabase/lite 0.10 guesses by its looks: `eq.9007199254740993` becomes a double, `eq.true` a boolean,
// `eq. a` loses its space, and in quotes it knows no escapes. So values are put in quotes, where it guesses
// nothing, and those that its quotes can't hold travel under a cover that is taken off on the way to Postgres.

/** A filter of one column, as PostgREST's URLs have it: `not.eq.value`. */
const FILTER = /^((?:not\.)?(?:eq|neq|gte?|lte?)\.)(.*)$/s;

/** A list of values: `in.("a","b")`. */
const LIST = /^(?:not\.)?in\.\(/;

/** A quoted value within a list or a logic tree, such as `or=(a.eq."x",b.lt."y")`. */
const QUOTED = /"((?:[^"\\]|\\.)*)"/gs;

/** Marks a covered value; a character that means nothing to anybody. */
const COVER = '\uF8FE';

/** The request's URL with every value such that lite takes it as PostgREST would. */
export function mendFilters(url: string): string {
  const mended = new URL(url);
  const entries = [...mended.searchParams].map(([name, value]): [string, string] => {
    if (/^(?:not\.)?(?:or|and)$/.test(name) || LIST.test(value)) {
      const unquoted = (_: string, inner: string) => quote(inner.replace(/\\(.)/gs, '$1'));
      return [name, value.replace(QUOTED, unquoted)];
    }
    return [
      name,
      value.replace(FILTER, (_, operator: string, text: string) => operator + quote(text)),
    ];
  });
  mended.search = new URLSearchParams(entries).toString();
  return mended.href;
}

function quote(text: string): string {
  const isPlain = !/["\\(){}]/.test(text);
  return `"${isPlain ? text : COVER + Buffer.from(text).toString('base64url')}"`;
}

/** The value below the cover, if there is one. */
export function uncover(text: unknown): unknown {
  if (typeof text !== 'string' || !text.startsWith(COVER)) return text;
  return Buffer.from(text.slice(COVER.length), 'base64url').toString();
}

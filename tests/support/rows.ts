/** A row as text in which equal rows are equal: quick to compare by the thousand, where `toEqual` takes minutes. */
export function asText(row: unknown): string {
  return JSON.stringify(sorted(row));
}

/** With its keys in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  const entries = Object.entries(value).map(([key, field]) => [key, sorted(field)] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

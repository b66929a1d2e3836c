/* Postgres' own plugin for logical replication, `pgoutput`, version 1 of its protocol: as much of it as tells rows. */

export interface Relation {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly isKey: boolean }[];
}

export interface Change {
  readonly type: 'INSERT' | 'UPDATE' | 'DELETE';
  readonly relation: Relation;
  /** The new row, or the key of the one deleted; values as text. */
  readonly row: Readonly<Record<string, string | null>>;
}

const TYPES = { I: 'INSERT', U: 'UPDATE', D: 'DELETE' } as const;

/**
 * Reads one message; of a relation it only takes note.
 *
 * @param relations those told so far, by their ids; added to
 */
export function decode(message: Buffer, relations: Map<number, Relation>): Change | undefined {
  let at = 0;
  const letter = () => String.fromCharCode(message.readUInt8(at++));
  const int16 = () => message.readInt16BE((at += 2) - 2);
  const int32 = () => message.readInt32BE((at += 4) - 4);
  const text = () => {
    const end = message.indexOf(0, at);
    const value = message.toString('utf8', at, end);
    at = end + 1;
    return value;
  };

  const kind = letter();
  if (kind === 'R') {
    const id = int32();
    const [schema, name] = [text(), text()];
    at += 1; // The replica identity.
    const columns = Array.from({ length: int16() }, () => {
      const column = { isKey: message.readUInt8(at++) === 1, name: text() };
      at += 8; // Its type and modifier.
      return column;
    });
    relations.set(id, { schema, name, columns });
    return undefined;
  }
  const type = TYPES[kind as keyof typeof TYPES];
  const relation = type && relations.get(int32());
  if (relation === undefined) return undefined;

  const tuple = () => {
    const row: Record<string, string | null> = {};
    for (let column = 0, count = int16(); column < count; column++) {
      const { name } = relation.columns[column]!;
      const form = letter();
      // A large value that did not change is not told again.
      if (form === 'u') continue;
      const length = form === 'n' ? 0 : int32();
      row[name] = form === 'n' ? null : message.toString('utf8', at, (at += length));
    }
    return row;
  };
  let row = {};
  // An update may tell the old key first; the last tuple is the one that counts.
  while (at < message.length) {
    letter();
    row = tuple();
  }
  return { type, relation, row };
}

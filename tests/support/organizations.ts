import { docsBlocks } from './docs.ts';

/* The organisations and people of docs/tenants.md, and its blocks of SQL by what each does. */

export const A = 'aaaaaaaa-0000-4000-8000-000000000001';
export const B = 'bbbbbbbb-0000-4000-8000-000000000002';
/** An organisation that is not there. */
export const GONE = 'cccccccc-0000-4000-8000-000000000003';
/** A member of A. */
export const ALICE = '11111111-0000-4000-8000-000000000001';
/** A member of B. */
export const BOB = '22222222-0000-4000-8000-000000000002';
/** Signed in, and a member of nothing. */
export const STRANGER = '33333333-0000-4000-8000-000000000003';

export const people = `
  insert into organizations values ('${A}', 'A'), ('${B}', 'B');
  insert into memberships values ('${ALICE}', '${A}'), ('${BOB}', '${B}');`;

const [
  tables = '',
  column = '',
  unfit = '',
  plainColumn = '',
  backfill = '',
  indexConcurrently = '',
  validate = '',
  byMembers = '',
  byClaim = '',
  fewerColumns = '',
  ...others
] = docsBlocks('tenants.md', 'sql');

export const recipe = {
  tables,
  column,
  unfit,
  plainColumn,
  backfill,
  indexConcurrently,
  validate,
  byMembers,
  byClaim,
  fewerColumns,
  others,
} as const;

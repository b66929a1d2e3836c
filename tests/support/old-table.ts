import { docsBlocks } from './docs.ts';

/* The table of docs/existing-table.md as it is before it is adopted, and the document's SQL by what each block does. */

const [
  oldTable = '',
  columns = '',
  adopt = '',
  copy = '',
  compare = '',
  swap = '',
  dependents = '',
  missing = '',
  waiting = '',
  back = '',
  ...others
] = docsBlocks('existing-table.md', 'sql');

export const adoption = {
  oldTable,
  columns,
  adopt,
  copy,
  compare,
  swap,
  dependents,
  missing,
  waiting,
  back,
  others,
} as const;

export const ORGANIZATION = 'aaaaaaaa-0000-4000-8000-000000000001';
export const OTHER = 'bbbbbbbb-0000-4000-8000-000000000002';
export const ALICE = '11111111-0000-4000-8000-000000000001';

/** What the old table refers to. */
const around = `
  create table organizations (id uuid primary key);
  create table courses (id uuid primary key);
  create table memberships (user_id uuid, organization_id uuid, primary key (user_id, organization_id));
  grant select on memberships to authenticated;
  insert into organizations values ('${ORGANIZATION}'), ('${OTHER}');
  insert into courses select organizations.id from organizations;
  insert into memberships values ('${ALICE}', '${ORGANIZATION}');`;

/** Rows of every kind, lawful and not: 5 statuses, cancelled or not, starts and ends at, before and after what precedes them. */
const OLD_ROWS = `
  insert into job_status (job_id, status, cancelled, created_at, started_at, completed_at, failed_at, updated_at,
    progress, attempts, max_attempts, error_message, error_stack, organization_id, course_id, user_id)
  select 'old-' || row_number() over (), status, cancelled, created_at, created_at + start,
    case when status = 'completed' then coalesce(created_at + start, created_at) + "end" end,
    case when status = 'failed' then coalesce(created_at + start, created_at) + "end" end,
    case when n % 7 > 0 then coalesce(created_at, now()) + interval '1 minute' end,
    (array['{}', '40', null, '{"percent": 4}']::jsonb[])[1 + n % 4], (array[0, 1, 3, null])[1 + n % 4], (array[3, 1, null])[1 + n % 3],
    case when n % 2 = 0 then 'no disk' end, case when n % 4 = 0 then E'RangeError: no disk\\n    at export.ts' end,
    case when n % 5 > 0 then (array['${ORGANIZATION}', '${OTHER}']::uuid[])[1 + n % 2] end,
    case when n % 3 > 0 then '${OTHER}'::uuid end, case when n % 2 > 0 then '${ALICE}'::uuid end
  from (
    select *, row_number() over ()::integer as n from
      unnest(array['pending', 'active', 'completed', 'failed', 'delayed']) status,
      unnest(array[true, false]) cancelled,
      unnest(array['2026-01-01 00:00:00.123456+00', '2026-01-01 00:00:00.999999+00', null]::timestamptz[]) created_at,
      unnest(array[null, '0', '1 ms', '-1 ms', '1 us', '5 s']::interval[]) start,
      unnest(array[null, '0', '-1 ms', '1 s']::interval[]) "end"
  ) kinds`;

// Rows that broke the old constraint are older than it.
const check = /constraint job_status_timestamps_check (check \([\s\S]*?\n {2}\))/.exec(
  adoption.oldTable,
);
export const oldTableSql = [
  around,
  adoption.oldTable,
  'alter table job_status drop constraint job_status_timestamps_check',
  OLD_ROWS,
  `alter table job_status add constraint job_status_timestamps_check ${check?.[1]} not valid`,
  "insert into job_notes select id, 'note of ' || job_id from job_status",
].join(';\n');

/** The package's table without its law: the same columns, indexes and constraint, and no trigger. */
export const BARE_TABLE = `
create schema bare;
create table bare.job_status (like public.job_status including all) with (fillfactor = 50);
`;

/** The table of the peers written by hand, as the team had it whose document this project began with. */
export const PEER_TABLE = `
create table public.peer_status (
  queue text not null,
  job_id text not null,
  status text not null,
  created_at timestamptz,
  started_at timestamptz,
  completed_at timestamptz,
  failed_at timestamptz,
  updated_at timestamptz not null default now(),
  primary key (queue, job_id),
  constraint peer_status_timestamps_check check (
    (started_at is null or created_at is null or started_at >= created_at)
    and (completed_at is null or started_at is null or completed_at >= started_at)
    and (failed_at is null or started_at is null or failed_at >= started_at)
  )
);
alter table public.peer_status enable row level security;
grant select, insert, update, delete on public.peer_status to service_role;
`;

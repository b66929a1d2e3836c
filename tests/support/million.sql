-- A million jobs of five queues and a thousand tenants, two seconds apart: 98.99 % completed, 1 % failed,
-- 0.01 % active.
insert into job_status (
  queue, job_id, name, status, attempt, attempts_made, max_attempts, progress, result, metadata, worker,
  created_at, processed_on, finished_on, first_processed_on, updated_at, sequence,
  started_at, attempt_started_at, completed_at, failed_at
)
select 'queue-' || n % 5, n::text, case when n % 1000 = 1 then 'rare' else 'export' end, s.status, 1, 1, 1,
  '0', case when s.status = 'completed' then '{"file":"orders.csv"}'::jsonb end,
  jsonb_build_object('organizationId', 'org-' || n % 1000, 'userId', 'user-' || n % 50000), 'worker-1',
  c.at, c.ms + 5, case when s.status <> 'active' then c.ms + 25 end, c.ms + 5, c.at + interval '25 ms', c.ms * 1000,
  c.at + interval '5 ms', c.at + interval '5 ms',
  case when s.status = 'completed' then c.at + interval '25 ms' end,
  case when s.status = 'failed' then c.at + interval '25 ms' end
from generate_series(1, 1000000) n,
  lateral (select 1767225600000 + n * 2000::bigint as ms) m,
  lateral (select m.ms, to_timestamp(m.ms / 1000) as at) c,
  lateral (select case when n % 100 = 0 then 'failed' when n % 10000 = 1 then 'active' else 'completed' end as status) s

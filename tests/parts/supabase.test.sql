create table public.items (
  id text primary key,
  n integer not null check (n >= 0),
  at timestamptz
);
alter table public.items enable row level security;
revoke all on public.items from anon, authenticated;

create function public.put_items(items jsonb) returns integer language plpgsql as $$
declare
  written integer;
begin
  insert into public.items (id, n, at)
  select item ->> 'id', (item ->> 'n')::integer, (item ->> 'at')::timestamptz
  from jsonb_array_elements(items) as item
  on conflict (id) do update set n = excluded.n, at = excluded.at;
  get diagnostics written = row_count;
  return written;
end
$$;
revoke all on function public.put_items(jsonb) from public, anon, authenticated;

create function public.echo(value jsonb) returns jsonb language sql as $$ select value $$;

create function public.fail_with(code text) returns void language plpgsql as $$
begin
  raise exception using errcode = code, message = 'it failed', detail = 'so', hint = 'try';
end
$$;

create table public.notes (id integer primary key, owner uuid);
alter table public.notes enable row level security;
create policy own_notes on public.notes for select to authenticated using (owner = auth.uid());

create schema other;
grant usage on schema other to service_role;
create table other.things (id integer);
grant all on other.things to service_role;
create function other.answer() returns integer language sql as $$ select 42 $$;

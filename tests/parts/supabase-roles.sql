-- What a new Supabase project has, and a fresh cluster hasn't: the three roles requests run as, and
-- default privileges that give everything made in `public` to all of them. A migration that wants
-- less has to revoke it, there as here.

do $$
declare
  role_name text;
begin
  foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
    begin
      execute format('create role %I nologin noinherit', role_name);
    exception
      -- Roles belong to the whole server: another database's start may have made them just now.
      when duplicate_object or unique_violation then null;
    end;
  end loop;
end
$$;

do $$
begin
  if not (select rolbypassrls from pg_roles where rolname = 'service_role') then
    alter role service_role bypassrls;
  end if;
end
$$;

grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public
  grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public
  grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public
  grant all on sequences to anon, authenticated, service_role;

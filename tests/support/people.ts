import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { Client } from 'pg';
import WebSocket from 'ws';
import type { SupabasePart } from '../parts/index.ts';

/* Requests of people other than the server: through the API with their token, and by SQL as the API's own role. */

/** A browser's client: the publishable key, and the token of whoever is signed in. */
export function browserClient(api: SupabasePart, token?: string): SupabaseClient {
  return createClient(api.url, api.publishableKey, {
    // Older Nodes have no WebSocket of their own, and supabase-js insists on one.
    realtime: { transport: WebSocket as never },
    auth: { persistSession: false },
    ...(token !== undefined && { global: { headers: { Authorization: `Bearer ${token}` } } }),
  });
}

/** The claims that the API hands to the database with a request. */
export interface Claims {
  readonly role: 'anon' | 'authenticated' | 'service_role';
  readonly sub?: string;
  readonly [claim: string]: unknown;
}

/**
 * Runs SQL as Supabase's API does: in a transaction of that role, with the token's claims beside it. It
 * is the second witness, for which the tests' API being a stand-in makes no difference.
 *
 * @returns the last statement's rows and how many it touched
 */
export async function sqlAs(connectionString: string, claims: Claims, sql: string) {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query('begin');
    // The second is how the API told the user's id before it told all claims; some `auth.uid()` still look there.
    const settings =
      "select set_config('request.jwt.claims', $1, true), set_config('request.jwt.claim.sub', $2, true)";
    await client.query(settings, [JSON.stringify(claims), claims.sub ?? '']);
    await client.query(`set local role ${claims.role}`);
    const { rows, rowCount } = await client.query<Record<string, unknown>>(sql);
    await client.query('commit');
    return { rows, count: rowCount ?? 0 };
  } finally {
    await client.end();
  }
}

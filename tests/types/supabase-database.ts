/*
 * What `supabase gen types typescript` writes, cut down: a project with our table in two schemas, and
 * one without it.
 */

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

interface JobStatusTable {
  Row: { queue: string; job_id: string; status: string; result: Json | null; created_at: string };
  Insert: {
    queue: string;
    job_id: string;
    status: string;
    result?: Json | null;
    created_at: string;
  };
  Update: {
    queue?: string;
    job_id?: string;
    status?: string;
    result?: Json | null;
    created_at?: string;
  };
  Relationships: [];
}

interface ProfilesTable {
  Row: { id: string; email: string };
  Insert: { id?: string; email: string };
  Update: { id?: string; email?: string };
  Relationships: [];
}

// Generated types are type aliases: an interface has no index signature, and supabase-js asks for one.
export type Database = {
  __InternalSupabase: { PostgrestVersion: '13.0.4' };
  public: {
    Tables: { job_status: JobStatusTable; profiles: ProfilesTable };
    Views: { [_ in never]: never };
    Functions: { job_status_write: { Args: { updates: Json }; Returns: number } };
    Enums: { [_ in never]: never };
    CompositeTypes: { [_ in never]: never };
  };
  jobs: {
    Tables: { status: JobStatusTable };
    Views: { [_ in never]: never };
    Functions: { status_write: { Args: { updates: Json }; Returns: number } };
    Enums: { [_ in never]: never };
    CompositeTypes: { [_ in never]: never };
  };
};

export type DatabaseWithoutTable = {
  public: {
    Tables: { profiles: ProfilesTable };
    Views: { [_ in never]: never };
    Functions: { [_ in never]: never };
    Enums: { plan: 'free' | 'paid' };
    CompositeTypes: { [_ in never]: never };
  };
};

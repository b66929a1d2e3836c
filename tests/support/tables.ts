/** The tables of the tests; the second is for tests that delete what is old, whoever wrote it. */
export const TABLES = ['job_status', 'retention'] as const;

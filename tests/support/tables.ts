/**
 * The tables of the tests; all but the first are for tests that delete what is old, whoever wrote it, and
 * run at the same time.
 */
export const TABLES = ['job_status', 'retention', 'conformance'] as const;

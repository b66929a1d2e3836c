import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf } from '../errors.ts';

/* Files in `supabase/migrations`, found, named and ordered as Supabase's own CLI does. */

/** A version is a date and time down to the second. */
const VERSION_DIGITS = 14;

/** What to make of a migration that is there already. */
export interface Judgement {
  /** Whether it is about the same table. */
  readonly isSameTable: (sql: string) => boolean;
  /** Whether it does all that the new one would. */
  readonly isEnough: (sql: string) => boolean;
}

export interface SavedMigration {
  readonly path: string;
  /** Whether it was written now: false where it was there. */
  readonly isNew: boolean;
}

/**
 * Saves SQL as a migration of the project that a folder lies in, unless the newest one of the same
 * table is enough.
 */
export async function saveMigration(
  cwd: string,
  sql: string,
  { isSameTable, isEnough }: Judgement,
): Promise<SavedMigration> {
  const folder = join(projectRoot(cwd), 'supabase', 'migrations');
  await mkdir(folder, { recursive: true });
  const entries = (await readdir(folder)).toSorted();
  for (const name of entries
    .toReversed()
    .filter((entry) => /^\d+_bullmq_job_status\.sql$/.test(entry))) {
    // Git may have given it the line ends of Windows.
    const found = (await readFile(join(folder, name), 'utf8')).replaceAll('\r\n', '\n');
    if (!isSameTable(found)) continue;
    if (isEnough(found)) return { path: join(folder, name), isNew: false };
    break;
  }
  const path = join(folder, `${versionAfter(entries, new Date())}_bullmq_job_status.sql`);
  try {
    await writeFile(path, sql, { flag: 'wx' });
  } catch (error) {
    // Another process took the name in between: nothing is overwritten, and the next second is tried.
    if (codeOf(error) === 'EEXIST') return saveMigration(cwd, sql, { isSameTable, isEnough });
    throw error;
  }
  return { path, isNew: true };
}

/** The folder above that has a Supabase project in it, else the one we are in. */
function projectRoot(cwd: string): string {
  for (let folder = cwd; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'supabase', 'config.toml'))) return folder;
    if (folder === dirname(folder)) return cwd;
  }
}

/**
 * The version of a new migration: the present second in UTC, or the first one after all that is there.
 * Supabase's CLI compares files by name in one place and by version in another, and refuses a new one
 * before the last; so the new version is greater than each of them within the digits they share.
 *
 * @param entries the names in the folder; what does not begin with a digit is no migration
 */
export function versionAfter(entries: readonly string[], now: Date): string {
  const last = entries
    .map((name) => /^\d+/.exec(name)?.[0])
    .filter((digits) => digits !== undefined)
    .map((digits) => digits.slice(0, VERSION_DIGITS).padEnd(VERSION_DIGITS, '9'))
    .reduce((greatest, version) => (version > greatest ? version : greatest), '');
  const present = versionOf(now);
  if (present > last) return present;

  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = [
    last.slice(0, 4),
    ...(last.slice(4).match(/../g) ?? []),
  ].map(Number);
  // No date need be behind the digits: what is too much of one carries over to the next.
  const next = new Date(
    Date.UTC(year, Math.max(month, 1) - 1, Math.max(day, 1), hour, minute, second + 1),
  );
  if (next.getUTCFullYear() > 9999) {
    const name = entries.findLast((entry) => /^\d/.test(entry));
    throw new Error(
      `No timestamp sorts after supabase/migrations/${name}: rename it, then run this again`,
    );
  }
  return versionOf(next);
}

function versionOf(date: Date): string {
  return date.toISOString().replaceAll(/\D/g, '').slice(0, VERSION_DIGITS);
}

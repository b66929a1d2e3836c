import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { codeOf } from '../errors.ts';

/**
 * A package of the project that the command is run in, else the one beside this package: npx may run it
 * from a cache that has none.
 */
export async function loadPackage<Module>(name: string): Promise<Module> {
  const places = [join(process.cwd(), 'package.json'), fileURLToPath(import.meta.url)];
  for (const place of places) {
    const path = resolveFrom(place, name);
    if (path === undefined) continue;
    const module = (await import(pathToFileURL(path).href)) as { default: Module };
    return module.default;
  }
  throw new Error(
    `This command needs the package ${name}, which is not installed: npm install ${name}`,
  );
}

function resolveFrom(place: string, name: string): string | undefined {
  try {
    return createRequire(place).resolve(name);
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

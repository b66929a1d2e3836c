import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import type { SuiteOptions } from 'bullmq-job-status/testing';
import { codeOf, kindOf, messageOf } from '../errors.ts';
import { checkStore } from '../validate.ts';

type Exports = Readonly<Record<string, unknown>>;

/**
 * What a module of the user's makes stores with. One is made and closed at once: what can't be made is told before
 * a hundred tests tell it.
 */
export async function loadStoreModule(
  path: string,
  name: string | undefined,
): Promise<SuiteOptions> {
  const places = placesOf(await importModule(path));
  const find = (...names: readonly string[]) =>
    names
      .flatMap((each) => places.map((place) => place[each]))
      .filter((each) => each !== undefined);
  const makers = name === undefined ? find('createStore', 'default') : find(name);
  const createStore = makers.find((each) => typeof each === 'function' && !isClass(each));
  if (createStore === undefined) {
    const wanted = name ?? 'createStore or default';
    const exported = Object.entries(places[0] ?? {}).map(([key, each]) =>
      isClass(each) ? `${key} (a class)` : `${key} (${kindOf(each)})`,
    );
    throw new Error(
      `${path} has to export a function ${wanted} that makes a store, such as () => new MyStore(); it exports ${exported.join(', ') || 'nothing'}`,
    );
  }
  const options = {
    createStore: createStore as SuiteOptions['createStore'],
    createUnavailableStore: find(
      'createUnavailableStore',
    )[0] as SuiteOptions['createUnavailableStore'],
    capabilities: find('capabilities')[0] as SuiteOptions['capabilities'],
  };
  await tryOut(path, options.createStore);
  return options;
}

async function tryOut(path: string, createStore: SuiteOptions['createStore']): Promise<void> {
  try {
    const store = await createStore();
    checkStore(store);
    await store.close?.();
  } catch (cause) {
    throw new Error(`${path} makes no store: ${messageOf(cause)}`, { cause });
  }
}

/** A module's exports, and those of CommonJS within its default one, as compilers write it too. */
function placesOf(module: Exports): Exports[] {
  const inner = module['default'] as Exports | undefined;
  const isObject = (each: unknown): each is Exports => typeof each === 'object' && each !== null;
  return [module, inner, inner?.['default']].filter(isObject);
}

function isClass(value: unknown): boolean {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

async function importModule(path: string): Promise<Exports> {
  const file = resolve(path);
  if (!existsSync(file)) throw new Error(`There is no file ${path}`);
  try {
    return (await import(pathToFileURL(file).href)) as Exports;
  } catch (cause) {
    const why =
      codeOf(cause) === 'ERR_UNKNOWN_FILE_EXTENSION'
        ? 'this Node runs no TypeScript; compile it first, or take Node 22.18 or newer'
        : inspect(cause);
    throw new Error(`${path} can't be loaded: ${why}`, { cause });
  }
}

import { describe, InvalidArgumentError, kindOf } from './errors.ts';

/** What one key of a record must be. */
export interface Rule {
  /** As in "Expected `x` to be …". */
  readonly expected: string;
  readonly holds: (value: unknown) => boolean;
  /** What stands for an absent or `undefined` value, which always passes. */
  readonly fallback?: unknown;
}

/** The keys of a record, and what each must be; below a key there may be a record again. */
export interface Rules {
  readonly [key: string]: Rule | { readonly keys: Rules };
}

export function wholeNumber(fallback: number, least: number, greatest: number): Rule {
  return {
    expected: `a whole number from ${least} to ${greatest}`,
    holds: (value) =>
      Number.isInteger(value) && (value as number) >= least && (value as number) <= greatest,
    fallback,
  };
}

export function boolean(fallback: boolean): Rule {
  return { expected: 'true or false', holds: (value) => typeof value === 'boolean', fallback };
}

export function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

/** What came is told by its kind only: it may be a client that holds a password. */
export function checkStore(store: unknown): void {
  if (!hasMethods(store, 'write', 'get')) {
    throw unlike('store', 'a StatusStore with write and get', kindOf(store));
  }
}

/**
 * Checks a record against its rules and fills in what is absent.
 *
 * @param path how the record is called in an error
 * @returns a new record; what is absent and has no fallback is left out
 * @throws {InvalidArgumentError} naming what was expected and what came; an unknown key is named too
 */
export function resolve(path: string, value: unknown, rules: Rules): Record<string, unknown> {
  if (value === undefined) return resolve(path, {}, rules);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unlike(path, 'an object', kindOf(value));
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(rules, key)) continue;
    const known = Object.keys(rules).join(', ');
    throw new InvalidArgumentError(`Unknown key \`${key}\` in ${path}; known are ${known}`);
  }
  const resolved: Record<string, unknown> = {};
  for (const [key, rule] of Object.entries(rules)) {
    const given = (value as Record<string, unknown>)[key];
    if ('keys' in rule) {
      resolved[key] = resolve(`${path}.${key}`, given, rule.keys);
    } else if (given !== undefined) {
      if (!rule.holds(given)) throw unlike(`${path}.${key}`, rule.expected, describe(given));
      resolved[key] = given;
    } else if (rule.fallback !== undefined) {
      resolved[key] = rule.fallback;
    }
  }
  return resolved;
}

/** "Expected `options.maxBatchSize` to be …, got 0 (number)". */
export function unlike(path: string, expected: string, got: string): InvalidArgumentError {
  return new InvalidArgumentError(`Expected \`${path}\` to be ${expected}, got ${got}`);
}

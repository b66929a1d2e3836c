/*
 * Statements about types, checked by `npm run typecheck`: files here are compiled, never run.
 */

/** Whether two types are the same, `any` and optional members told apart. */
export type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export type IsAny<T> = 0 extends 1 & T ? true : false;

/** Holds a statement: it compiles only where the type argument is `true`. */
export function holds<_Statement extends true>(): void {}

/** A value of a type, for files that are never run. */
export declare function some<T>(): T;

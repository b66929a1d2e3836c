/**
 * Puts a function in front of an object's method, on that object alone.
 *
 * Listeners could do for events, were they not removable by anybody (`removeAllListeners`), skipped
 * where one before them throws, and never awaited. A method stands in every call's way.
 *
 * @param wrap gets the method as it was, bound, and returns what takes its place
 * @returns puts the method back as it was; where somebody has since put theirs in front of ours, ours
 *   stays below it, so `wrap`'s function must let calls through once its owner is done
 */
export function interpose<Method extends (...args: never[]) => unknown>(
  target: object,
  name: string,
  wrap: (original: Method) => Method,
): () => void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  const method = (target as Record<string, Method>)[name] as Method;
  const value = wrap(method.bind(target) as Method);
  Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: false });
  return () => {
    if (Object.getOwnPropertyDescriptor(target, name)?.value !== value) return;
    if (before === undefined) delete (target as Record<string, unknown>)[name];
    else Object.defineProperty(target, name, before);
  };
}

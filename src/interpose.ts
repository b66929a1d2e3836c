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
  const owner = target as Record<string, Method>;
  const before = owner[name] as Method;
  const wasOwn = Object.hasOwn(owner, name);
  const ours = wrap(before.bind(owner) as Method);
  // Not enumerable, as a method is not: printing the object shows nothing new.
  Object.defineProperty(owner, name, { value: ours, configurable: true, writable: true });
  return () => {
    if (owner[name] !== ours) return;
    if (wasOwn) owner[name] = before;
    else delete owner[name];
  };
}

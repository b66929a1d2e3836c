// Imported first, before anybody keeps `Date` or its `now`: the host's clock, which can be set to another time.
// `performance.now()` and timers go on, as they do where somebody sets a clock.

const real = globalThis.Date;
const realNow = real.now;
let offsetMs = 0;

real.now = () => realNow() + offsetMs;
globalThis.Date = new Proxy(real, {
  construct(target, args: unknown[], newTarget) {
    return Reflect.construct(target, args.length > 0 ? args : [target.now()], newTarget) as object;
  },
});

/** Sets the clock so many ms before or after the true time. */
export function shiftClock(ms: number): void {
  offsetMs = ms;
}

/** How often things are done that many causes ask for. */

/** What takes long is done more rarely: so many times as long as it took is left to others. */
const RESTS = 10;

/**
 * Give a function that has `act` done for all calls up to then: at once if it is at rest, and not again for `millis`.
 * @param {number} millis @param {() => unknown} act @param {AbortSignal} signal
 */
export function atMostEvery(millis, act, signal) {
  let isWanted = false;
  let isBusy = false;
  async function work() {
    isBusy = true;
    try {
      await null; // what comes in one piece is one cause
      while (isWanted && !signal.aborted) {
        isWanted = false;
        const began = performance.now();
        await act();
        await pause(Math.max(millis, (performance.now() - began) * RESTS), signal);
      }
    } finally {
      isBusy = false;
    }
  }
  return () => {
    isWanted = true;
    if (!isBusy) work();
  };
}

/** Wait, but no longer than it is wanted. @param {number} millis @param {AbortSignal} signal */
export function pause(millis, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, millis);
    signal.addEventListener("abort", end);
  });
}

// A workflow: the Fibonacci activity, called again and again.

import { fibo } from "testing:fibo/fibo";

// The exported interface testing:fibo/workflow. It is found by its name.
export const workflow = {
  fiboa(n, iterations) {
    let last = 0n;
    for (let i = 0; i < iterations; i++) {
      // Looks like a call, and is a durable step: the host records it, runs the activity with its retries, and after a
      // restart gives the recorded answer. An activity's err is thrown here, and becomes our own.
      last = fibo(n);
    }
    return last;
  },
};

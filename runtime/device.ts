/** What is common to the devices: calls in, runs out. */
import { type Given, makeResolver } from './call.ts';
import type { OpDescription, OpTypes } from './description.ts';
import { NormgradError } from './error.ts';
import type { Backend, Kernel, Pending } from './execute.ts';
import { type Finished, planForward } from './run.ts';
import type { Mode, Rest, Result, Run, RunOptions, TensorsOf } from './types.ts';

/** Checks, plans and performs work, now or later. */
export type Perform<K extends Kernel, M extends Mode> = <R>(plan: () => Pending<K, R>) => Result<M, R>;

/** The `run` function of a device. */
export type RunFunction<M extends Mode> = <T extends OpTypes>(
  op: OpDescription<T>,
  tensors: TensorsOf<T>,
  ...rest: Rest<T>
) => Result<M, Run<T, M>>;

export function makeRunFunction<K extends Kernel, M extends Mode>(
  backend: Backend<K>,
  perform: Perform<K, M>,
): RunFunction<M> {
  const resolve = makeResolver(backend);
  return <T extends OpTypes>(op: OpDescription<T>, tensors: TensorsOf<T>, ...rest: Rest<T>) => {
    const [attributes = {}, options = {}] = rest as [object?, RunOptions?];
    const performNamed: Perform<K, M> = (plan) => perform(() => named(op.name, plan));
    return performNamed(() => {
      const call = resolve(op, tensors as Given, attributes as { [name: string]: unknown }, options.layout);
      const pending = planForward(backend, call);
      // The precise types come from the op's description, which the checks above have followed.
      const finish = () => makeRun(pending.execute(), performNamed) as unknown as Run<T, M>;
      return { ...pending, execute: finish };
    });
  };
}

/** Plans, and puts the op's name before the message of any error, also of a later one. */
function named<K extends Kernel, R>(op: string, plan: () => Pending<K, R>): Pending<K, R> {
  const prefixed = <A>(f: () => A): A => {
    try {
      return f();
    } catch (error) {
      if (error instanceof NormgradError) throw new NormgradError(error.code, `${op}: ${error.message}`);
      throw error;
    }
  };
  const pending = prefixed(plan);
  return { ...pending, execute: () => prefixed(pending.execute) };
}

function makeRun<K extends Kernel, M extends Mode>(finished: Finished<K>, perform: Perform<K, M>) {
  return {
    outputs: finished.outputs,
    saved: finished.saved,
    backward: (cotangents: Given, wrt?: readonly string[]) =>
      perform(() => finished.backward(cotangents, wrt)),
    jvp: (tangents: Given) => perform(() => finished.jvp(tangents)),
    doubleBackward: (cotangents: Given, cotangents2: Given, wrt?: readonly string[]) =>
      perform(() => finished.doubleBackward(cotangents, cotangents2, wrt)),
    dispose: finished.dispose,
  };
}

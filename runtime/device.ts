/** What is common to the devices: calls in, runs out. */
import { type Attributes, type Given, makeResolver } from './call.ts';
import type { OpDescription, OpTypes } from './description.ts';
import { fail, NormgradError } from './error.ts';
import type { Backend, Kernel, Pending } from './execute.ts';
import { planForward } from './run.ts';
import type { Mode, Rest, Result, Run, RunOptions, TensorsOf } from './types.ts';

/** Checks, plans and performs work, now or later. */
export type Perform<K extends Kernel, M extends Mode> = <R>(plan: () => Pending<K, R>) => Result<M, R>;

/** The `run` function of a device. */
export type RunFunction<M extends Mode> = <T extends OpTypes>(
  op: OpDescription<T>,
  tensors: TensorsOf<T>,
  ...rest: Rest<T>
) => Result<M, Run<T, M>>;

/** Calls of one device, checked and planned here and performed as it does; errors begin with the op's name. */
export function makeRunFunction<K extends Kernel, M extends Mode>(
  backend: Backend<K>,
  perform: Perform<K, M>,
): RunFunction<M> {
  const resolve = makeResolver(backend);
  // The precise types come from the op's description, which the checks follow.
  return ((
    op: OpDescription,
    tensors: Given,
    attributes?: Attributes | null,
    options?: RunOptions | null,
  ) => {
    /** Puts the op's name before the message of any error. */
    const rethrow = (error: unknown): never => {
      throw error instanceof NormgradError
        ? new NormgradError(error.code, `${op?.name ?? 'run'}: ${error.message}`)
        : error;
    };
    const named: Perform<K, M> = <R>(plan: () => Pending<K, R>) => {
      try {
        const result = perform(plan);
        return (result instanceof Promise ? result.catch(rethrow) : result) as Result<M, R>;
      } catch (error) {
        return rethrow(error);
      }
    };
    return named(() => {
      if (!op?.variants) fail('missing', 'no op was given; expected a generated one');
      const given = { ...tensors };
      return planForward(backend, resolve(op, given, attributes ?? {}, options ?? {}), given, named);
    });
  }) as RunFunction<M>;
}

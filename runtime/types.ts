/** The precise types of a call, computed from what generated code says of an op. */
import type { OpTypes } from './description.ts';
import type { Dtype, Tensor } from './tensor.ts';

type Optional<T extends OpTypes> = keyof {
  [K in keyof T['tensors'] as 'optional' extends T['tensors'][K] ? K : never]: true;
};

/** The tensors of a call by argument name; `null` and `undefined` both mean not given. */
export type TensorsOf<T extends OpTypes> = {
  readonly [K in Exclude<keyof T['tensors'], Optional<T>>]: Tensor;
} & { readonly [K in Optional<T>]?: Tensor | null | undefined };

/** Tensors by name, all of which may be left out. */
export type Some<Name extends string> = { readonly [K in Name]?: Tensor | null | undefined };

export interface RunOptions<T extends OpTypes = OpTypes> {
  /** The physical order of the axes of every tensor of the call; the op's first layout by default. */
  readonly layout?: T['layouts'];
  /** The type of the results: by default that of the tensors given, which it must agree with, or f32 without any. */
  readonly dtype?: Dtype;
}

/** Attributes and options: the former may be left out where all have defaults. */
export type Rest<T extends OpTypes> =
  Record<never, never> extends T['attributes']
    ? [attributes?: T['attributes'], options?: RunOptions<T>]
    : [attributes: T['attributes'], options?: RunOptions<T>];

/** Gradients of all that was given: those of optional arguments may be absent. */
export type GradientsOf<T extends OpTypes> = {
  readonly [K in Exclude<T['differentiable'], Optional<T>>]: Tensor;
} & { readonly [K in Extract<T['differentiable'], Optional<T>>]?: Tensor };

/** Of the cotangents (`grad_RETURN`) and of the arguments. */
export type SecondOf<T extends OpTypes> = {
  readonly [K in `grad_${T['differentiableReturns']}` | T['differentiable']]?: Tensor;
};

/** A result now or a promise of it. */
export type Mode = 'async' | 'sync';
export type Result<M extends Mode, T> = M extends 'async' ? Promise<T> : T;

/** A finished forward, with what is needed to differentiate it. */
export interface Run<T extends OpTypes = OpTypes, M extends Mode = 'async'> {
  /** Returns by name. They belong to the caller, who disposes them. */
  readonly outputs: { readonly [K in T['returns']]: Tensor };
  /** What forward computed for the other directions and is not an output; `dispose` frees it. */
  readonly saved: { readonly [name: string]: Tensor };
  /**
   * Gradients by argument name, given the cotangents of the returns, in the returns' shapes. A cotangent left out counts
   * as zero; at least one is needed. `wrt` says which gradients: by default those of all differentiable tensors given.
   */
  backward(cotangents: Some<T['differentiableReturns']>): Result<M, GradientsOf<T>>;
  backward<W extends T['differentiable']>(
    cotangents: Some<T['differentiableReturns']>,
    wrt: readonly W[],
  ): Result<M, { readonly [K in W]: Tensor }>;
  /** Tangents of the returns by name, given those of arguments; one left out counts as zero. */
  jvp(tangents: Some<T['differentiable']>): Result<M, { readonly [K in T['differentiableReturns']]: Tensor }>;
  /**
   * Gradients of the sum of <cotangents2, gradients>, by argument name and, for the cotangent of the return y, `grad_y`.
   * `wrt` says of which gradients cotangents2 are: by default those that are given.
   */
  doubleBackward(
    cotangents: Some<T['differentiableReturns']>,
    cotangents2: Some<T['differentiable']>,
    wrt?: readonly T['differentiable'][],
  ): Result<M, SecondOf<T>>;
  /** Frees what was saved; the outputs stay. */
  dispose(): void;
}

/** The interpreter as a target: an op whose kernels evaluate its derived graphs directly, in f64. */
import { unavailable } from '../compiler/compile.ts';
import type { Expr } from '../compiler/graph/expr.ts';
import { type Forward, lowerEntry } from '../compiler/graph/formulas.ts';
import {
  type Differentiable,
  differentiable,
  gradientsOf,
  secondOf,
  tangentsOf,
  zeroOnEmpty,
} from '../compiler/schedule/program.ts';
import type { Argument, Dimension, Entry, Variant } from '../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../compiler/spec/variants.ts';
import type {
  ArgumentDescription,
  BindingDescription,
  DimensionDescription,
  DirectionDescription,
  LayoutDescription,
  OpDescription,
  Role,
  UniformDescription,
  VariantDescription,
} from '../runtime/index.ts';
import { evaluate } from './evaluate.ts';
import { type Computation, interpretedKernel, old, type Result } from './interpreted-kernel.ts';

/** An entry as the runtime takes it, with every variant, layout and direction; derived when first used. */
export function interpreted(entry: Entry): OpDescription {
  const variants = variantsOf(entry).map((variant) => [variantKey(entry, variant), variant] as const);
  return {
    name: entry.name,
    arguments: entry.arguments.map(describeArgument),
    returns: entry.returns.map(({ name, dimensions, differentiable: isDifferentiable }) => ({
      name,
      dimensions: dimensions.map(describeDimension),
      ...(isDifferentiable && { differentiable: true as const }),
    })),
    axes: entry.axes,
    layouts: entry.layouts,
    together: entry.together,
    variants: lazily(variants, (variant) => describeVariant(entry, variant)),
    unavailable: Object.fromEntries(unavailable(entry)),
  };
}

function describeArgument(argument: Argument): ArgumentDescription {
  if (argument.kind !== 'tensor') return argument;
  const { kind, name, dimensions, optional, state, differentiable: isDifferentiable } = argument;
  return {
    kind,
    name,
    dimensions: dimensions.map(describeDimension),
    ...(optional && { optional }),
    ...(state && { state }),
    ...(isDifferentiable && { differentiable: true as const }),
  };
}

function describeDimension(dimension: Dimension): DimensionDescription {
  if (dimension.kind === 'split') return { axes: dimension.axes };
  return dimension.kind === 'fold' ? { axes: [dimension.axis], fold: true } : { axes: [dimension.axis] };
}

/** An object whose values are made when they are first read. */
function lazily<A, B>(
  entries: readonly (readonly [string, A])[],
  make: (value: A) => B,
): { readonly [key: string]: B } {
  const made = {};
  for (const [key, value] of entries) {
    let known: B | undefined;
    Object.defineProperty(made, key, { enumerable: true, get: () => (known ??= make(value)) });
  }
  return made;
}

function describeVariant(entry: Entry, variant: Variant): VariantDescription {
  const forward = lowerEntry(entry, variant);
  const layouts = entry.layouts.map((order) => [order.join(' '), order] as const);
  return {
    requirements: forward.conditions.map(({ test, message }) => ({
      message,
      test: (numbers) => evaluate(forward, [test], numbers, unreadable)[0]!.data[0] !== 0,
    })),
    layouts: lazily(layouts, (order) => describeLayout(forward, order)),
  };
}

const unreadable = (): never => {
  throw new Error('normgrad has a bug: a condition reads a tensor');
};

interface Shaped {
  readonly name: string;
  readonly axes: readonly string[];
}

/** A variant's tensors as directions see them in one layout. */
interface View {
  readonly forward: Forward;
  /** The arguments that are given, with those that forward overwrites among them. */
  readonly given: readonly Shaped[];
  readonly updated: ReadonlySet<string>;
  readonly wrt: readonly Differentiable[];
  readonly returns: readonly Shaped[];
  readonly bind: (
    role: Role,
    tensors: readonly Shaped[],
    access?: BindingDescription['access'],
  ) => BindingDescription[];
}

function describeLayout(forward: Forward, order: readonly string[]): LayoutDescription {
  const view = viewOf(forward, order);
  const uniforms = uniformsOf(forward, view.given);
  const direction = (computation: Computation): DirectionDescription => ({
    cpu: [interpretedKernel(forward, uniforms, computation)],
  });
  const all = view.wrt.map(({ name }) => name).join(' ');
  return {
    forward: direction(forwardOf(view)),
    backward: { [all]: direction(backwardOf(view)) },
    jvp: direction(forwardModeOf(view)),
    double_backward: { [all]: direction(doubleBackwardOf(view)) },
  };
}

function viewOf(forward: Forward, order: readonly string[]): View {
  const { entry, variant } = forward;
  return {
    forward,
    given: entry.arguments.flatMap((a) =>
      a.kind === 'tensor' && (variant.given.get(a.name) ?? true) ? [a] : [],
    ),
    updated: new Set(forward.updates.map(({ name }) => name)),
    wrt: differentiable(forward),
    returns: forward.returns.filter((output) => output.differentiable),
    bind: (role, tensors, access = 'read') =>
      tensors.map(({ name, axes }) => ({
        name: `${role} ${name}`,
        role,
        of: name,
        axes: order.filter((axis) => axes.includes(axis)),
        access,
      })),
  };
}

/** The sizes that a variant's tensors tell, then the numbers of a call. */
function uniformsOf({ entry, returns }: Forward, given: readonly Shaped[]): UniformDescription[] {
  const known = [...given, ...returns].flatMap(({ axes }) => axes);
  const numbers = entry.arguments.filter(
    ({ kind, name }) => (kind === 'float' || kind === 'int') && !entry.axes.includes(name),
  );
  return [
    ...entry.axes.filter((axis) => known.includes(axis)).map((name) => ({ name, type: 'u32' as const })),
    ...numbers.map(({ name }) => ({ name, type: 'f32' as const })),
  ];
}

function forwardOf({ forward, given, updated, bind }: View): Computation {
  const { returns, updates, scope } = forward;
  const kept = updates.map(({ name, axes }) => ({ name: old(name), axes, expr: scope.get(name)! }));
  return {
    name: 'forward',
    bindings: [
      ...given.flatMap((one) =>
        updated.has(one.name) ? bind('state', [one], 'read_write') : bind('input', [one]),
      ),
      ...bind('output', returns, 'write'),
      ...bind('saved', kept, 'write'),
    ],
    results: () => [
      ...returns.map((one) => resultOf('output', one)),
      ...updates.map((one) => resultOf('state', one)),
      ...kept.map((one) => resultOf('saved', one)),
    ],
  };
}

function backwardOf(view: View): Computation {
  const { forward, wrt, returns, bind } = view;
  return {
    name: 'backward',
    bindings: [...left(view), ...bind('cotangent', returns), ...bind('gradient', wrt, 'write')],
    results: () => summed('gradient', wrt, gradientsOf(forward)),
  };
}

function forwardModeOf(view: View): Computation {
  const { forward, wrt, returns, bind } = view;
  return {
    name: 'jvp',
    bindings: [...left(view), ...bind('tangent', wrt), ...bind('output_tangent', returns, 'write')],
    results: () => named('output_tangent', returns, tangentsOf(forward)),
  };
}

function doubleBackwardOf(view: View): Computation {
  const { forward, wrt, returns, bind } = view;
  return {
    name: 'double_backward',
    bindings: [
      ...left(view),
      ...bind('cotangent', returns),
      ...bind('cotangent2', wrt),
      ...bind('second', wrt, 'write'),
      ...bind('second_cotangent', returns, 'write'),
    ],
    results: () => {
      const names = wrt.map(({ name }) => name);
      const { grads, inputs } = secondOf(forward, names);
      return [...summed('second', wrt, inputs), ...summed('second_cotangent', returns, grads)];
    },
  };
}

/** The arguments as forward leaves them, overwritten states as they were before. */
const left = ({ given, updated, bind }: View): BindingDescription[] =>
  given.flatMap((one) =>
    updated.has(one.name) ? bind('saved', [{ ...one, name: old(one.name) }]) : bind('input', [one]),
  );

const resultOf = (role: Role, { name, axes, expr }: Shaped & { readonly expr: Expr }): Result => ({
  role,
  of: name,
  axes,
  expr,
});

const named = (role: Role, of: readonly Shaped[], exprs: ReadonlyMap<string, Expr>): Result[] =>
  of.map((one) => resultOf(role, { ...one, expr: exprs.get(one.name)! }));

/** Sums, which are zero where there are no elements. */
const summed = (...args: Parameters<typeof named>): Result[] =>
  named(...args).map((result) => ({ ...result, expr: zeroOnEmpty(result.expr) }));

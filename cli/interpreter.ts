/** The interpreter as a target: an op whose kernels evaluate its derived graphs directly, in f64. */
import { unavailable } from '../compiler/compile.ts';
import { float64 } from '../compiler/graph/arithmetic.ts';
import type { Expr } from '../compiler/graph/expr.ts';
import { type Forward, lowerEntry } from '../compiler/graph/formulas.ts';
import { arrange, interpret, type Value } from '../compiler/graph/interpret.ts';
import { finish } from '../compiler/graph/rebuild.ts';
import {
  differentiable,
  gradientsOf,
  secondOf,
  tangentsOf,
  zeroOnEmpty,
} from '../compiler/schedule/program.ts';
import type { Dimension, Entry, Variant } from '../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../compiler/spec/variants.ts';
import type {
  BindingDescription,
  CpuKernelDescription,
  DimensionDescription,
  LayoutDescription,
  Numbers,
  OpDescription,
  Role,
  VariantDescription,
} from '../runtime/index.ts';

/** An entry as the runtime takes it, with every variant, layout and direction; derived when first used. */
export function interpreted(entry: Entry): OpDescription {
  const variants = variantsOf(entry).map((variant) => [variantKey(entry, variant), variant] as const);
  return {
    name: entry.name,
    arguments: entry.arguments.map((argument) => {
      if (argument.kind !== 'tensor') return argument;
      const { kind, name, dimensions, optional, state, differentiable: isDifferentiable } = argument;
      return {
        kind,
        name,
        dimensions: dimensions.map(describeDimension),
        ...(optional && { optional }),
        ...(state && { state }),
        ...(isDifferentiable && { differentiable: true }),
      };
    }) as OpDescription['arguments'],
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

/** Evaluates graphs of a variant on numbers by axis and attribute, and tensors by role and name. */
export function evaluate(
  { entry }: Forward,
  roots: readonly Expr[],
  numbers: Numbers,
  input: (role: string, of: string) => Value<number>,
): Value<number>[] {
  const isAxis = ([name]: [string, number]): boolean => entry.axes.includes(name);
  const sizes = new Map(Object.entries(numbers).filter(isAxis));
  const parameters = new Map(Object.entries(numbers).filter((pair) => !isAxis(pair)));
  return interpret(roots, { sizes, parameters, input: ({ role, of }) => input(role, of) }, float64);
}

/** One tensor that a kernel computes. */
interface Result {
  readonly role: Role;
  readonly of: string;
  readonly axes: readonly string[];
  readonly expr: Expr;
}

/** What forward keeps of a state that it overwrites. */
const old = (state: string): string => `old:${state}`;

function describeLayout(forward: Forward, order: readonly string[]): LayoutDescription {
  const { entry, variant } = forward;
  const given = entry.arguments.flatMap((a) =>
    a.kind === 'tensor' && (variant.given.get(a.name) ?? true) ? [a] : [],
  );
  const updated = new Set(forward.updates.map(({ name }) => name));
  const binding = (
    role: Role,
    of: string,
    axes: readonly string[],
    access: 'read' | 'write' | 'read_write',
  ): BindingDescription => ({
    name: `${role} ${of}`,
    role,
    of,
    axes: order.filter((axis) => axes.includes(axis)),
    access,
  });
  const write = ({ role, of, axes }: Result) => binding(role, of, axes, 'write');
  const returns = forward.returns.filter((output) => output.differentiable);
  const wrt = differentiable(forward);
  const known = [...given.flatMap(({ axes }) => axes), ...forward.returns.flatMap(({ axes }) => axes)];
  const uniforms = [
    ...entry.axes.filter((axis) => known.includes(axis)).map((name) => ({ name, type: 'u32' as const })),
    ...entry.arguments
      .filter(({ kind, name }) => (kind === 'float' || kind === 'int') && !entry.axes.includes(name))
      .map(({ name }) => ({ name, type: 'f32' as const })),
  ];

  const kernel = (
    name: string,
    bindings: readonly BindingDescription[],
    results: () => readonly Result[],
  ): CpuKernelDescription => {
    let derived: readonly Result[] | undefined;
    const run = (...values: (Float64Array | Float32Array | number)[]): void => {
      derived ??= results().map((result) => ({ ...result, expr: finish([result.expr])[0]! }));
      const numbers = Object.fromEntries(
        uniforms.map((u, i) => [u.name, values[bindings.length + i] as number]),
      );
      const sizes = new Map(Object.entries(numbers));
      const at = (role: string, of: string): number =>
        bindings.findIndex(
          (b) => b.of === of && (b.role === role || (b.role === 'state' && role === 'input')),
        );
      const read = (role: string, of: string): Value<number> => {
        const i = at(role, of);
        if (i < 0 && role === 'input') return read('saved', old(of));
        return { axes: bindings[i]!.axes, data: values[i] as unknown as readonly number[] };
      };
      const computed = evaluate(
        forward,
        derived.map(({ expr }) => expr),
        numbers,
        read,
      );
      for (const [i, { role, of }] of derived.entries()) {
        const place = at(role, of);
        (values[place] as Float64Array).set(arrange(computed[i]!, bindings[place]!.axes, sizes).data);
      }
    };
    return { name, bindings, uniforms, run: run as (...args: never[]) => void };
  };

  const arguments_ = given.map(({ name, axes }) =>
    updated.has(name) ? binding('saved', old(name), axes, 'read') : binding('input', name, axes, 'read'),
  );
  const cotangents = returns.map(({ name, axes }) => binding('cotangent', name, axes, 'read'));
  const results = (
    role: Role,
    of: readonly { name: string; axes: readonly string[] }[],
    exprs: ReadonlyMap<string, Expr>,
  ) => of.map(({ name, axes }): Result => ({ role, of: name, axes, expr: exprs.get(name)! }));
  const summed = (...args: Parameters<typeof results>) =>
    results(...args).map((result) => ({ ...result, expr: zeroOnEmpty(result.expr) }));
  const of = (
    role: Role,
    tensors: readonly { name: string; axes: readonly string[] }[],
    access: 'read' | 'write',
  ) => tensors.map(({ name, axes }) => binding(role, name, axes, access));

  const forwardResults: Result[] = [
    ...forward.returns.map(({ name, axes, expr }): Result => ({ role: 'output', of: name, axes, expr })),
    ...forward.updates.map(({ name, axes, expr }): Result => ({ role: 'state', of: name, axes, expr })),
    ...forward.updates.map(
      ({ name, axes }): Result => ({ role: 'saved', of: old(name), axes, expr: forward.scope.get(name)! }),
    ),
  ];
  const forwardBindings = [
    ...given.map(({ name, axes }) =>
      updated.has(name) ? binding('state', name, axes, 'read_write') : binding('input', name, axes, 'read'),
    ),
    ...forwardResults.filter(({ role }) => role !== 'state').map(write),
  ];
  const names = wrt.map(({ name }) => name);
  const all = names.join(' ');
  return {
    forward: { cpu: [kernel('forward', forwardBindings, () => forwardResults)] },
    backward: {
      [all]: {
        cpu: [
          kernel('backward', [...arguments_, ...cotangents, ...of('gradient', wrt, 'write')], () =>
            summed('gradient', wrt, gradientsOf(forward)),
          ),
        ],
      },
    },
    jvp: {
      cpu: [
        kernel(
          'jvp',
          [...arguments_, ...of('tangent', wrt, 'read'), ...of('output_tangent', returns, 'write')],
          () => results('output_tangent', returns, tangentsOf(forward)),
        ),
      ],
    },
    double_backward: {
      [all]: {
        cpu: [
          kernel(
            'double_backward',
            [
              ...arguments_,
              ...cotangents,
              ...of('cotangent2', wrt, 'read'),
              ...of('second', wrt, 'write'),
              ...of('second_cotangent', returns, 'write'),
            ],
            () => {
              const { grads, inputs } = secondOf(forward, names);
              return [...summed('second', wrt, inputs), ...summed('second_cotangent', returns, grads)];
            },
          ),
        ],
      },
    },
  };
}

/** Evaluates a graph directly, node by node, in any arithmetic: the reference for everything the compiler emits. */
import { invariant } from '../diagnostics.ts';
import type { Arithmetic } from './arithmetic.ts';
import { type Axes, union } from './axes.ts';
import { type Expr, isReduction, type Node, topological } from './expr.ts';
import { isMask } from './rules.ts';

/** Row-major over `axes`; a truth value is 0 or 1. */
export interface Value<T> {
  readonly axes: readonly string[];
  readonly data: readonly T[];
}

export interface Bindings<T> {
  /** Elements by axis. */
  readonly sizes: ReadonlyMap<string, number>;
  readonly parameters: ReadonlyMap<string, T>;
  /** The value of an input node; its axes may come in any order. */
  readonly input: (node: Node<'input'>) => Value<T>;
}

/**
 * The values of the roots, each over its own axes in their canonical (sorted) order. Throws an error that names the axis,
 * attribute or tensor which `bindings` lacks, or whose data does not fit its axes.
 */
export function interpret<T>(
  roots: readonly Expr[],
  bindings: Bindings<T>,
  arithmetic: Arithmetic<T>,
): Value<T>[] {
  const values = new Map<Expr, Value<T>>();
  for (const node of topological(roots)) values.set(node, evaluate(node, values, bindings, arithmetic));
  return roots.map((root) => values.get(root)!);
}

/** The value with its axes in another order, repeated along those it lacks. */
export function arrange<T>(
  value: Value<T>,
  axes: readonly string[],
  sizes: ReadonlyMap<string, number>,
): Value<T> {
  const at = reader(value, axes, sizes);
  return { axes, data: Array.from({ length: elements(axes, sizes) }, (_, i) => at(i)) };
}

export const elements = (axes: readonly string[], sizes: ReadonlyMap<string, number>): number =>
  axes.reduce((product, axis) => product * sizeOf(axis, sizes), 1);

function sizeOf(axis: string, sizes: ReadonlyMap<string, number>): number {
  const size = sizes.get(axis);
  if (size === undefined) throw new Error(`axis ${axis} has no size`);
  return size;
}

/** Reads a value at a flat index over a space of axes that contains the value's own. */
function reader<T>(
  value: Value<T>,
  space: readonly string[],
  sizes: ReadonlyMap<string, number>,
): (i: number) => T {
  if (value.axes.length === 0) return () => value.data[0]!;
  const extents = space.map((axis) => sizeOf(axis, sizes));
  const strides = space.map((axis) => {
    const place = value.axes.indexOf(axis);
    return place < 0 ? 0 : elements(value.axes.slice(place + 1), sizes);
  });
  if (space.length === value.axes.length && space.every((axis, i) => axis === value.axes[i]))
    return (i) => value.data[i]!;
  return (i) => {
    let offset = 0;
    for (let d = space.length - 1; d >= 0; d--) {
      offset += (i % extents[d]!) * strides[d]!;
      i = Math.floor(i / extents[d]!);
    }
    return value.data[offset]!;
  };
}

function checked<T>(
  { role, of }: Node<'input'>,
  value: Value<T> | undefined,
  sizes: ReadonlyMap<string, number>,
): Value<T> {
  if (!value) throw new Error(`the ${role} ${of} has no value`);
  const expected = elements(value.axes, sizes);
  if (value.data.length !== expected)
    throw new Error(
      `the ${role} ${of} over [${value.axes.join(', ')}] has ${value.data.length} values where its axes have ${expected}`,
    );
  return value;
}

function evaluate<T>(
  node: Expr,
  values: ReadonlyMap<Expr, Value<T>>,
  { sizes, parameters, input }: Bindings<T>,
  a: Arithmetic<T>,
): Value<T> {
  const bool = (truth: boolean): T => a.number(truth ? 1 : 0);
  const isTrue = (value: T): boolean => a.toNumber(value) !== 0;
  const elementwise = (operands: readonly Expr[], combine: (...args: T[]) => T): Value<T> => {
    const read = operands.map((operand) => reader(values.get(operand)!, node.axes, sizes));
    const data = Array.from({ length: elements(node.axes, sizes) }, (_, i) =>
      combine(...read.map((at) => at(i))),
    );
    return { axes: node.axes, data };
  };
  const scalar = (value: T): Value<T> => ({ axes: [], data: [value] });
  switch (node.op) {
    case 'number':
      return scalar(a.fraction(node.value));
    case 'constant':
      return scalar(a.constant(node.name));
    case 'truth':
      return scalar(bool(node.value));
    case 'parameter': {
      const value = parameters.get(node.name);
      if (value === undefined) throw new Error(`attribute ${node.name} has no value`);
      return scalar(value);
    }
    case 'size':
      return scalar(a.number(sizeOf(node.axis, sizes)));
    case 'input':
      return arrange(checked(node, input(node), sizes), node.axes, sizes);
    case 'add':
      return elementwise(
        node.terms.map(([, term]) => term),
        (...args) =>
          node.terms
            .map(([c], i) => (c.equals(1) ? args[i]! : a.mul(a.fraction(c), args[i]!)))
            .concat(node.constant.n === 0n ? [] : [a.fraction(node.constant)])
            .reduce(a.add),
      );
    case 'mul': {
      // under a mask that is off everything is 0, also what is not finite
      const isZero = node.factors.map(([f, p]) => isMask(f) && p.equals(1));
      return elementwise(
        node.factors.map(([factor]) => factor),
        (...args) => {
          if (args.some((value, i) => isZero[i] && a.toNumber(value) === 0)) return a.number(0);
          return node.factors
            .map(([, p], i) => (p.equals(1) ? args[i]! : a.power(args[i]!, p)))
            .reduce(a.mul, a.fraction(node.coefficient));
        },
      );
    }
    case 'call':
      return elementwise(node.args, (...args) => a.call(node.fn, args));
    case 'compare':
      return elementwise([node.a, node.b], (x, y) => bool(a.compare(node.fn, x!, y!)));
    case 'and':
      return elementwise([node.a, node.b], (x, y) => bool(isTrue(x!) && isTrue(y!)));
    case 'or':
      return elementwise([node.a, node.b], (x, y) => bool(isTrue(x!) || isTrue(y!)));
    case 'not':
      return elementwise([node.x], (x) => bool(!isTrue(x!)));
    case 'select':
      return elementwise([node.test, node.then, node.else], (test, x, y) => (isTrue(test!) ? x! : y!));
    case 'others':
      return othersOf(node, values, sizes, a);
    case 'stop':
      return values.get(node.x)!;
    default:
      invariant(isReduction(node), `no way to evaluate ${node.op}`);
      return reduceValue(node, values.get(node.x)!, sizes, a);
  }
}

function reduceValue<T>(
  node: Extract<Expr, { over: Axes }>,
  operand: Value<T>,
  sizes: ReadonlyMap<string, number>,
  a: Arithmetic<T>,
): Value<T> {
  const kept = node.axes;
  const at = reader(operand, [...kept, ...node.over.filter((axis) => !kept.includes(axis))], sizes);
  const each = elements(node.over, sizes);
  const data = Array.from({ length: elements(kept, sizes) }, (_, k) =>
    monoids[node.op](
      Array.from({ length: each }, (_, i) => at(k * each + i)),
      a,
    ),
  );
  invariant(
    union(kept, node.over).length === kept.length + node.over.length,
    'a reduction keeps an axis it sums over',
  );
  return { axes: kept, data };
}

/**
 * Each factor is x + Σₘ tₘ·alongₘ, a polynomial that is linear in each tₘ: its coefficients by the set of these, in bits.
 * What multiplies all of them in the product of the factors before an element and of those after it is its value.
 */
function othersOf<T>(
  node: Node<'others'>,
  values: ReadonlyMap<Expr, Value<T>>,
  sizes: ReadonlyMap<string, number>,
  a: Arithmetic<T>,
): Value<T> {
  const kept = node.axes.filter((axis) => !node.among.includes(axis));
  const space = [...kept, ...node.among];
  const [x, ...along] = [node.x, ...node.along].map((e) => reader(values.get(e)!, space, sizes));
  const [rows, each] = [elements(kept, sizes), elements(node.among, sizes)];
  const sets = Array.from({ length: 1 << along.length }, (_, set) => set);
  // a factor that is zero makes the product zero, also where the others overflow
  const isZero = (value: T): boolean => a.compare('==', value, a.number(0));
  const times = (p: T, q: T): T => (isZero(p) || isZero(q) ? a.number(0) : a.mul(p, q));
  const multiply = (p: readonly T[], q: readonly T[]): T[] =>
    sets.map((set) =>
      sets
        .filter((part) => (part & ~set) === 0)
        .map((part) => times(p[part]!, q[set & ~part]!))
        .reduce(a.add),
    );
  const factor = (i: number): T[] =>
    sets.map((set) => {
      if (set === 0) return x!(i);
      const m = Math.log2(set);
      return Number.isInteger(m) ? along[m]!(i) : a.number(0);
    });
  const none = sets.map((set) => a.number(set === 0 ? 1 : 0));
  const data = Array<T>(rows * each);
  for (let row = 0; row < rows; row++) {
    const factors = Array.from({ length: each }, (_, i) => factor(row * each + i));
    const before = [none];
    for (const [i, f] of factors.entries()) before.push(multiply(before[i]!, f));
    let after = none;
    for (let i = each - 1; i >= 0; i--) {
      data[row * each + i] = multiply(before[i]!, after).at(-1)!;
      after = multiply(factors[i]!, after);
    }
  }
  return arrange({ axes: space, data }, node.axes, sizes);
}

type Reduce = <T>(values: readonly T[], a: Arithmetic<T>) => T;

const total: Reduce = (values, a) => values.reduce(a.add, a.number(0));
const quotient: Reduce = (values, a) => a.div(total(values, a), a.number(values.length));
/** From the first value on, so that equal values have themselves for their mean, unless that is lost in infinities. */
const average: Reduce = (values, a) => {
  if (values.length === 0) return quotient(values, a);
  const shift = a.mul(a.number(-1), values[0]!);
  const differences = values.map((value) => a.add(value, shift));
  const mean = a.add(values[0]!, quotient(differences, a));
  return Number.isFinite(a.toNumber(mean)) ? mean : quotient(values, a);
};
const extreme =
  (fn: 'max' | 'min'): Reduce =>
  (values, a) =>
    values.length === 0
      ? a.number(fn === 'max' ? -Infinity : Infinity)
      : values.reduce((x, y) => a.call(fn, [x, y]));

const monoids: { readonly [K in Extract<Expr, { over: Axes }>['op']]: Reduce } = {
  sum: total,
  mean: average,
  var: (values, a) => {
    const mean = average(values, a);
    const deviations = values.map((value) => a.add(value, a.mul(a.number(-1), mean)));
    return average(
      deviations.map((d) => a.mul(d, d)),
      a,
    );
  },
  amax: extreme('max'),
  amin: extreme('min'),
  prod: (values, a) => values.reduce(a.mul, a.number(1)),
};

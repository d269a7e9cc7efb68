/** Arithmetic on numbers alone, done here: WGSL refuses constants such as √−1, and 1/0 that a mask would leave out. */
import { float64 } from '../graph/arithmetic.ts';
import type { Scalar, Shape } from './scalar-build.ts';

/** The value of what has only numbers for operands. */
export function constantOf(shape: Shape): number | undefined {
  switch (shape.is) {
    case '+':
    case '-':
    case '*':
    case '/':
      return ofNumbers([shape.a, shape.b], binary[shape.is]);
    case 'negate':
    case 'sqrt':
    case 'rsqrt':
      return ofNumbers([shape.x], unary[shape.is]);
    case 'call':
      return ofNumbers(shape.args, (...args) => float64.call(shape.fn, args));
    default:
      return undefined;
  }
}

type Compute = (...values: number[]) => number;
type Table<K extends string> = { readonly [Key in K]: Compute };

const binary: Table<'+' | '-' | '*' | '/'> = {
  '+': (a, b) => a! + b!,
  '-': (a, b) => a! - b!,
  '*': (a, b) => a! * b!,
  '/': (a, b) => a! / b!,
};

const unary: Table<'negate' | 'sqrt' | 'rsqrt'> = {
  negate: (x) => -x!,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x!),
};

function ofNumbers(scalars: readonly Scalar[], compute: Compute): number | undefined {
  const values = scalars.flatMap((scalar) => (scalar.is === 'number' ? scalar.value : []));
  return values.length === scalars.length ? compute(...values) : undefined;
}

/** A loop nest under construction: each value is computed once, in the outermost loop where it is known. */
import type { Expr } from '../graph/expr.ts';
import { boolTypeOf, type Code, call, isVector, real, realTypeOf, type Statement } from './kernel.ts';
import type { Names } from './names.ts';
import { createFrames, type Place, type ScopeOptions } from './nest-frames.ts';
import type { Scalars } from './scalar.ts';
import { operands, type Scalar } from './scalar-build.ts';

export interface Nest {
  /** Appends to the innermost open loop. */
  readonly push: (...statements: readonly Statement[]) => void;
  /** Opens a scope in which more axes are known, runs `body`, and returns the scope's statements. */
  readonly scope: (axes: readonly string[], body: () => void, options?: ScopeOptions) => Statement[];
  /** The value of an expression, for use in the innermost open loop. */
  readonly value: (expr: Expr) => Code;
  readonly scalar: (scalar: Scalar) => Code;
  /** Gives a leaf its value in this scope: the result of a reduction, or scratch that stayed local. */
  readonly define: (expr: Expr, base: string, code: () => Code) => void;
  /** Says where a value is found in this scope, and what to call it. */
  readonly give: (scalar: Scalar, base: string, code: () => Code) => void;
  /** What reads a value that is found, not computed, at the current place. */
  readonly read: (scalar: Scalar) => Code;
  /** Names a value in the innermost loop. */
  readonly local: (base: string, value: Code) => Code;
  /**
   * Sets where along an axis, or several joined by a space, the innermost open loops are. What was computed there is kept
   * by axes, whatever the position, so for another one a new scope has to be opened.
   */
  readonly at: (axis: string, position: Code) => void;
  /** The flat index of the current element in a buffer with these axes in physical order. */
  readonly flat: (axes: readonly string[]) => Code;
  /** The statements outside all loops. */
  readonly finish: () => Statement[];
}

export interface NestOptions {
  readonly scalars: Scalars;
  readonly names: Names;
  /** Leaves that are found in buffers and uniforms. */
  readonly leaf: (expr: Expr, place: Place) => Code;
  readonly size: (axis: string) => Code;
  /** Whether arithmetic may mix reals and vectors. */
  readonly isMixed?: boolean;
  /** Whether the index of a row's first element gets a name even where it changes with every element. */
  readonly namesRows?: boolean;
  /** Values that need no computing because an earlier kernel left them in a buffer. */
  readonly found?: (scalar: Scalar, place: Place) => Code | undefined;
}

/** A nest without loops. Values are known by their scalars, so those that it is given have to come from `scalars`. */
export function createNest(options: NestOptions): Nest {
  const { scalars, names, leaf, size, found, isMixed = false, namesRows = false } = options;
  const frames = createFrames({ names, size, namesRows });
  const { innermost, frameOf, nearest, local, place } = frames;

  const resolveLeaf = (expr: Expr): Code =>
    nearest(({ leaves }) => leaves.get(expr))?.() ?? leaf(expr, place);

  function code(scalar: Scalar): Code {
    switch (scalar.is) {
      case 'number':
        return real(scalar.value);
      case 'truth':
        return { code: 'truth', type: 'bool', value: scalar.value };
      case 'leaf':
        return resolveLeaf(scalar.expr);
      case '+':
      case '-':
      case '*':
      case '/': {
        const [a, b] = isMixed ? [visit(scalar.a), visit(scalar.b)] : together(scalar.a, scalar.b);
        return { code: 'binary', type: realTypeOf(a!, b!), operator: scalar.is, a: a!, b: b! };
      }
      case 'and':
      case 'or': {
        const [a, b] = [visit(scalar.a), visit(scalar.b)];
        return { code: 'logic', type: boolTypeOf(a, b), operator: scalar.is, a, b };
      }
      case 'not': {
        const x = visit(scalar.x);
        return { code: 'not', type: boolTypeOf(x), x };
      }
      case 'negate':
      case 'sqrt':
      case 'rsqrt': {
        const x = visit(scalar.x);
        return { code: scalar.is, type: realTypeOf(x), x };
      }
      case 'call':
        return call(scalar.fn, ...together(...scalar.args));
      case 'compare': {
        const [a, b] = together(scalar.a, scalar.b);
        return { code: 'compare', type: boolTypeOf(a!, b!), operator: scalar.fn, a: a!, b: b! };
      }
      case 'select':
        return selection(scalar);
    }
  }

  /** Operands of one operation: vectors if one of them is. */
  function together(...scalars: readonly Scalar[]): Code[] {
    const values = scalars.map(visit);
    return values.some(isVector) ? values.map((value, i) => widened(scalars[i]!, value)) : values;
  }

  function selection(scalar: Extract<Scalar, { is: 'select' }>): Code {
    const test = visit(scalar.test);
    const [then, otherwise] = [visit(scalar.then), visit(scalar.else)];
    if (scalar.type === 'bool')
      return { code: 'select', type: boolTypeOf(test, then, otherwise), test, then, else: otherwise };
    const type = realTypeOf(test, then, otherwise);
    if (type === 'real') return { code: 'select', type, test, then, else: otherwise };
    return {
      code: 'select',
      type,
      test,
      then: widened(scalar.then, then),
      else: widened(scalar.else, otherwise),
    };
  }

  /** A real as a vector, made where the real is known. */
  function widened(scalar: Scalar, value: Code): Code {
    if (isVector(value)) return value;
    if (value.code === 'number') return { code: 'splat', type: 'vector', x: value };
    const frame = frameOf(scalar.axes);
    const known = frame.splats.get(scalar);
    if (known) return known;
    const splat = local('lanes', { code: 'splat', type: 'vector', x: value }, frame);
    frame.splats.set(scalar, splat);
    return splat;
  }

  const read = (scalar: Scalar): Code => found?.(scalar, place) ?? code(scalar);

  function visit(scalar: Scalar): Code {
    const frame = frameOf(scalar.axes);
    const known = nearest(({ values }) => values.get(scalar));
    if (known) return known;
    const given = nearest((open) => open.given.get(scalar));
    const value = given?.code() ?? read(scalar);
    const isShared = scalars.uses(scalar) > 1 || frame !== innermost();
    const isWork = operands(scalar).length > 0 && isShared;
    const result =
      isWork || value.code === 'load' ? local(given?.base ?? baseName(value), value, frame) : value;
    frame.values.set(scalar, result);
    return result;
  }

  function define(expr: Expr, base: string, code: () => Code): void {
    const frame = innermost();
    let known: Code | undefined;
    frame.leaves.set(expr, () => {
      known ??= local(base, code(), frame);
      return known;
    });
  }

  return {
    push: (...statements) => innermost().statements.push(...statements),
    scope: frames.scope,
    value: (expr) => visit(scalars.of(expr)),
    scalar: visit,
    define,
    give: (scalar, base, code) => innermost().given.set(scalar, { base, code }),
    read,
    local: (base, value) => local(base, value),
    at: frames.at,
    flat: place.flat,
    finish: frames.finish,
  };
}

/** Loads are called after their buffer, other values by their kind. */
const baseName = (value: Code): string =>
  value.code === 'load'
    ? value.array
    : value.type === 'bool'
      ? 'test'
      : value.code === 'rsqrt'
        ? 'root'
        : 'v';

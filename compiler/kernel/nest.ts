/** A loop nest under construction: each value is computed once, in the outermost loop where it is known. */
import { invariant } from '../diagnostics.ts';
import type { Axes } from '../graph/axes.ts';
import type { Expr } from '../graph/expr.ts';
import {
  binary,
  boolTypeOf,
  type Code,
  call,
  isVector,
  name,
  real,
  realTypeOf,
  type Statement,
  times,
} from './kernel.ts';
import type { Names } from './names.ts';
import type { Scalars } from './scalar.ts';
import { operands, type Scalar } from './scalar-build.ts';

interface Frame {
  /** Axes whose position is known in this loop and those inside it. */
  readonly axes: ReadonlySet<string>;
  readonly statements: Statement[];
  readonly values: Map<Scalar, Code>;
  readonly leaves: Map<Expr, () => Code>;
  readonly given: Map<Scalar, { readonly base: string; readonly code: () => Code }>;
  readonly bases: Map<string, Code>;
  /** Axes along which these, which are of rows, move. */
  readonly based: Set<string>;
  /** Reals of this frame, in every lane of a vector. */
  readonly splats: Map<Scalar, Code>;
  /** Under a condition: nothing inside may be computed outside. */
  readonly pinned: boolean;
}

export interface ScopeOptions {
  readonly pinned?: boolean;
  /** The axis along which four elements are computed at a time. */
  readonly lanes?: string | undefined;
}

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

/** Where the innermost open loop is in a buffer with these axes, and what it reads there at once. */
export interface Place {
  readonly flat: (axes: readonly string[]) => Code;
  readonly type: (axes: readonly string[]) => 'real' | 'vector';
}

/** A nest without loops. Values are known by their scalars, so those that it is given have to come from `scalars`. */
export function createNest(options: NestOptions): Nest {
  const { scalars, names, leaf, size, found, isMixed = false, namesRows = false } = options;
  const newFrame = (axes: Iterable<string>, pinned = false): Frame => ({
    pinned,
    axes: new Set(axes),
    statements: [],
    values: new Map(),
    leaves: new Map(),
    given: new Map(),
    bases: new Map(),
    based: new Set(),
    splats: new Map(),
  });
  const frames: Frame[] = [newFrame([])];
  const positions = new Map<string, Code>();
  let lanes: string | undefined;
  const place: Place = {
    flat,
    type: (axes) => (lanes !== undefined && axes.includes(lanes) ? 'vector' : 'real'),
  };
  const innermost = (): Frame => frames[frames.length - 1]!;

  /** The outermost frame where all these axes are known, as far out as conditions allow. */
  function frameOf(axes: Axes): Frame {
    const from = Math.max(
      0,
      frames.findLastIndex((frame) => frame.pinned),
    );
    const frame = frames.slice(from).find((frame) => axes.every((axis) => frame.axes.has(axis)));
    invariant(frame, `no loop over ${axes.join(', ')}`);
    return frame;
  }

  function local(base: string, value: Code, frame = innermost()): Code {
    if (value.code === 'name' || value.code === 'number') return value;
    const id = names.fresh(base);
    frame.statements.push({ do: 'let', name: id, value });
    return name(id, value.type);
  }

  function resolveLeaf(expr: Expr): Code {
    for (let i = frames.length - 1; i >= 0; i--) {
      const known = frames[i]!.leaves.get(expr);
      if (known) return known();
    }
    return leaf(expr, place);
  }

  /** What is at a constant place along an axis is known outside the loop over it too. */
  const isMoving = (axis: string): boolean => positions.get(axis)?.code !== 'number';

  /** Row-major; what the outer loops fix is computed there. */
  function flat(axes: readonly string[]): Code {
    let total: Code | undefined;
    for (let i = 0, next = 0; i < axes.length; i = next) {
      next = axes.length;
      while (next > i + 1 && !positions.has(axes.slice(i, next).join(' '))) next--;
      const position = positions.get(axes.slice(i, next).join(' '));
      invariant(position, `no position along ${axes[i]}`);
      const length = times(...axes.slice(i, next).map(size));
      const prefix = axes.slice(0, next);
      const inner = frameOf(prefix.filter(isMoving));
      const outer = i > 0 ? frameOf(axes.slice(0, i).filter(isMoving)) : inner;
      if (total && (outer !== inner || namesRows)) {
        const key = prefix
          .map((a) => (isMoving(a) ? a : `${a} ${JSON.stringify(positions.get(a))}`))
          .join(' ');
        const known = outer.bases.get(key);
        const base: Code = known ?? baseOf(total, length, outer);
        outer.bases.set(key, base);
        for (const axis of axes.slice(0, i).filter(isMoving)) outer.based.add(axis);
        total = binary('+', base, position);
      } else {
        total = total ? binary('+', binary('*', total, length), position) : position;
      }
    }
    return total ?? { code: 'number', type: 'index', value: 0 };
  }

  function baseOf(row: Code, length: Code, frame: Frame): Code {
    const product = binary('*', row, length);
    return product === row ? row : local('base', product, frame);
  }

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
    const known = frames.findLast((open) => open.values.has(scalar))?.values.get(scalar);
    if (known) return known;
    const given = frames.findLast((open) => open.given.has(scalar))?.given.get(scalar);
    const value = given?.code() ?? read(scalar);
    const isShared = scalars.uses(scalar) > 1 || frame !== innermost();
    const isWork = operands(scalar).length > 0 && isShared;
    const result =
      isWork || value.code === 'load' ? local(given?.base ?? baseName(value), value, frame) : value;
    frame.values.set(scalar, result);
    return result;
  }

  return {
    push: (...statements) => innermost().statements.push(...statements),
    scope(axes, body, options = {}) {
      const outer = lanes;
      lanes = options.lanes ?? outer;
      const before = [...axes, axes.join(' ')].map((key) => [key, positions.get(key)] as const);
      frames.push(newFrame([...innermost().axes, ...axes], options.pinned));
      body();
      lanes = outer;
      for (const [key, position] of before) {
        if (position) positions.set(key, position);
        else positions.delete(key);
      }
      return frames.pop()!.statements;
    },
    value: (expr) => visit(scalars.of(expr)),
    scalar: visit,
    define(expr, base, code) {
      const frame = innermost();
      let known: Code | undefined;
      frame.leaves.set(expr, () => {
        known ??= local(base, code(), frame);
        return known;
      });
    },
    give: (scalar, base, code) => innermost().given.set(scalar, { base, code }),
    read,
    local: (base, value) => local(base, value),
    at(axis, position) {
      const isUsed = axis.split(' ').some((one) => frames.some(({ based }) => based.has(one)));
      invariant(!isUsed || positions.get(axis) === position, `another position along ${axis} in one scope`);
      positions.set(axis, position);
    },
    flat,
    finish: () => frames[0]!.statements,
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

/** A loop nest under construction: each value is computed once, in the outermost loop where it is known. */
import { invariant } from '../diagnostics.ts';
import type { Axes } from '../graph/axes.ts';
import type { Expr } from '../graph/expr.ts';
import { binary, type Code, name, real, type Statement } from './kernel.ts';
import type { Names } from './names.ts';
import { operands, type Scalar, type Scalars } from './scalar.ts';

interface Frame {
  /** Axes whose position is known in this loop and those inside it. */
  readonly axes: ReadonlySet<string>;
  readonly statements: Statement[];
  readonly values: Map<Scalar, Code>;
  readonly leaves: Map<Expr, () => Code>;
  readonly bases: Map<string, Code>;
  /** Under a condition: nothing inside may be computed outside. */
  readonly pinned: boolean;
}

export interface Nest {
  /** Appends to the innermost open loop. */
  readonly push: (...statements: readonly Statement[]) => void;
  /** Opens a scope in which more axes are known, runs `body`, and returns the scope's statements. */
  readonly scope: (axes: readonly string[], body: () => void, pinned?: boolean) => Statement[];
  /** The value of an expression, for use in the innermost open loop. */
  readonly value: (expr: Expr) => Code;
  readonly scalar: (scalar: Scalar) => Code;
  /** Gives a leaf its value in this scope: the result of a reduction, or scratch that stayed local. */
  readonly define: (expr: Expr, base: string, code: () => Code) => void;
  /** Names a value in the innermost loop. */
  readonly local: (base: string, value: Code) => Code;
  /** Sets where along an axis, or several joined by a space, the innermost open loops are. */
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
  readonly leaf: (expr: Expr, flat: (axes: readonly string[]) => Code) => Code;
  readonly size: (axis: string) => Code;
  /** Values that need no computing because an earlier kernel left them in a buffer. */
  readonly found?: (scalar: Scalar, flat: (axes: readonly string[]) => Code) => Code | undefined;
}

export function createNest({ scalars, names, leaf, size, found }: NestOptions): Nest {
  const newFrame = (axes: Iterable<string>, pinned = false): Frame => ({
    pinned,
    axes: new Set(axes),
    statements: [],
    values: new Map(),
    leaves: new Map(),
    bases: new Map(),
  });
  const frames: Frame[] = [newFrame([])];
  const positions = new Map<string, Code>();
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
    return leaf(expr, flat);
  }

  /** Row-major; what the outer loops fix is computed there. */
  function flat(axes: readonly string[]): Code {
    const known = axes.length > 0 ? positions.get(axes.join(' ')) : undefined;
    if (known) return known;
    let total: Code | undefined;
    for (let i = 0; i < axes.length; i++) {
      const position = positions.get(axes[i]!);
      invariant(position, `no position along ${axes[i]}`);
      const prefix = axes.slice(0, i + 1);
      const inner = frameOf(prefix);
      const outer = i > 0 ? frameOf(axes.slice(0, i)) : inner;
      if (total && outer !== inner) {
        const key = prefix.join(' ');
        const known = outer.bases.get(key);
        const base: Code = known ?? local('base', binary('*', total, size(axes[i]!)), outer);
        outer.bases.set(key, base);
        total = binary('+', base, position);
      } else {
        total = total ? binary('+', binary('*', total, size(axes[i]!)), position) : position;
      }
    }
    return total ?? { code: 'number', type: 'index', value: 0 };
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
      case '/':
        return { code: 'binary', type: 'real', operator: scalar.is, a: visit(scalar.a), b: visit(scalar.b) };
      case 'and':
      case 'or':
        return { code: 'logic', type: 'bool', operator: scalar.is, a: visit(scalar.a), b: visit(scalar.b) };
      case 'not':
        return { code: 'not', type: 'bool', x: visit(scalar.x) };
      case 'negate':
      case 'sqrt':
      case 'rsqrt':
        return { code: scalar.is, type: 'real', x: visit(scalar.x) };
      case 'call':
        return { code: 'call', type: 'real', fn: scalar.fn, args: scalar.args.map(visit) };
      case 'compare':
        return { code: 'compare', type: 'bool', operator: scalar.fn, a: visit(scalar.a), b: visit(scalar.b) };
      case 'select':
        return {
          code: 'select',
          type: scalar.type,
          test: visit(scalar.test),
          then: visit(scalar.then),
          else: visit(scalar.else),
        };
    }
  }

  function visit(scalar: Scalar): Code {
    const frame = frameOf(scalar.axes);
    const known = frames.findLast((open) => open.values.has(scalar))?.values.get(scalar);
    if (known) return known;
    const value = found?.(scalar, flat) ?? code(scalar);
    const isShared = scalars.uses(scalar) > 1 || frame !== innermost();
    const isWork = operands(scalar).length > 0 && isShared;
    const result = isWork || value.code === 'load' ? local(baseName(value), value, frame) : value;
    frame.values.set(scalar, result);
    return result;
  }

  return {
    push: (...statements) => innermost().statements.push(...statements),
    scope(axes, body, pinned) {
      frames.push(newFrame([...innermost().axes, ...axes], pinned));
      body();
      for (const axis of [...axes, axes.join(' ')]) positions.delete(axis);
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
    local: (base, value) => local(base, value),
    at: (axis, position) => positions.set(axis, position),
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

/** The open loops of a nest: which statements each has so far, what is known in it, and where it is along its axes. */
import { invariant } from '../diagnostics.ts';
import type { Axes } from '../graph/axes.ts';
import type { Expr } from '../graph/expr.ts';
import { binary, type Code, index, name, type Statement, times } from './kernel.ts';
import type { Names } from './names.ts';
import type { Scalar } from './scalar-build.ts';

export interface Frame {
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

/** Where the innermost open loop is in a buffer with these axes, and what it reads there at once. */
export interface Place {
  readonly flat: (axes: readonly string[]) => Code;
  readonly type: (axes: readonly string[]) => 'real' | 'vector';
}

export interface Frames {
  readonly innermost: () => Frame;
  /** The outermost frame where all these axes are known, as far out as conditions allow. */
  readonly frameOf: (axes: Axes) => Frame;
  /** What the innermost frame has of those that have it. */
  readonly nearest: <T>(of: (frame: Frame) => T | undefined) => T | undefined;
  /** Names a value in a frame, the innermost unless told otherwise. */
  readonly local: (base: string, value: Code, frame?: Frame) => Code;
  readonly place: Place;
  readonly at: (axis: string, position: Code) => void;
  readonly scope: (axes: readonly string[], body: () => void, options?: ScopeOptions) => Statement[];
  /** The statements outside all loops. */
  readonly finish: () => Statement[];
}

interface FramesOptions {
  readonly names: Names;
  readonly size: (axis: string) => Code;
  readonly namesRows: boolean;
}

export function createFrames({ names, size, namesRows }: FramesOptions): Frames {
  const frames: Frame[] = [newFrame([])];
  const positions = new Map<string, Code>();
  let lanes: string | undefined;
  const innermost = (): Frame => frames[frames.length - 1]!;

  function frameOf(axes: Axes): Frame {
    const from = Math.max(
      0,
      frames.findLastIndex((frame) => frame.pinned),
    );
    const frame = frames.slice(from).find((frame) => axes.every((axis) => frame.axes.has(axis)));
    invariant(frame, `no loop over ${axes.join(', ')}`);
    return frame;
  }

  function nearest<T>(of: (frame: Frame) => T | undefined): T | undefined {
    for (let i = frames.length - 1; i >= 0; i--) {
      const found = of(frames[i]!);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  function local(base: string, value: Code, frame = innermost()): Code {
    if (value.code === 'name' || value.code === 'number') return value;
    const id = names.fresh(base);
    frame.statements.push({ do: 'let', name: id, value });
    return name(id, value.type);
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
      total = total ? binary('+', rowOf(total, axes.slice(0, i), axes.slice(i, next)), position) : position;
    }
    return total ?? index(0);
  }

  /** The index of the first element of a row, which lies along `row` and is number `at` over the axes outside of it. */
  function rowOf(at: Code, outside: readonly string[], row: readonly string[]): Code {
    const length = times(...row.map(size));
    const prefix = [...outside, ...row];
    const inner = frameOf(prefix.filter(isMoving));
    const outer = frameOf(outside.filter(isMoving));
    if (outer === inner && !namesRows) return binary('*', at, length);
    const key = prefix.map((a) => (isMoving(a) ? a : `${a} ${JSON.stringify(positions.get(a))}`)).join(' ');
    const base = outer.bases.get(key) ?? baseOf(at, length, outer);
    outer.bases.set(key, base);
    for (const axis of outside.filter(isMoving)) outer.based.add(axis);
    return base;
  }

  function baseOf(row: Code, length: Code, frame: Frame): Code {
    const product = binary('*', row, length);
    return product === row ? row : local('base', product, frame);
  }

  function at(axis: string, position: Code): void {
    const isUsed = axis.split(' ').some((one) => frames.some(({ based }) => based.has(one)));
    invariant(!isUsed || positions.get(axis) === position, `another position along ${axis} in one scope`);
    positions.set(axis, position);
  }

  function scope(axes: readonly string[], body: () => void, options: ScopeOptions = {}): Statement[] {
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
  }

  const place: Place = {
    flat,
    type: (axes) => (lanes !== undefined && axes.includes(lanes) ? 'vector' : 'real'),
  };
  return { innermost, frameOf, nearest, local, place, at, scope, finish: () => frames[0]!.statements };
}

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

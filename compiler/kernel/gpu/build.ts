/** What the parts of a GPU kernel are built from: loops over lanes, positions along axes, and the finished kernel. */
import type { Axes } from '../../graph/axes.ts';
import type { Stage } from '../../schedule/stages.ts';
import { collectBindings, collectUniforms, prune } from '../collect.ts';
import {
  type Binding,
  binary,
  type Code,
  index,
  type Kernel,
  name,
  type Statement,
  times,
} from '../kernel.ts';
import type { Names } from '../names.ts';
import type { Nest } from '../nest.ts';
import type { Packed } from '../pack.ts';
import { formulasOf, reductionsOf, trafficOf } from '../report.ts';
import type { Scalars } from '../scalar.ts';
import type { Tensors } from '../tensors.ts';

/** Room for lanes in workgroup memory; how many there are is decided when a device is known. */
export const mostLanes = 256;
export const lane = name('lane', 'index');
export const lanes = name('lanes', 'index');
/** The workgroup's number; two-dimensional dispatches are folded back by the emitter. */
export const group = name('workgroup', 'index');

/** What all kernels of one program share. */
export interface Context {
  readonly buffers: readonly Tensor[];
  readonly tensors: Tensors;
  readonly scalars: Scalars;
  readonly packed: Packed;
  readonly inOrder: (axes: Axes) => string[];
}

export interface Builder extends Context {
  readonly nest: Nest;
  readonly names: Names;
}

export type Tensor = Omit<Binding, 'access'>;

export function finishKernel(
  { nest, tensors, buffers }: Builder,
  stage: Stage,
  workgroups: Code,
  root: readonly string[],
  shared: Kernel['shared'],
  more: readonly Tensor[] = [],
  tiles?: Kernel['tiles'],
): Kernel {
  const body = prune(nest.finish());
  const bindings = collectBindings(body, [...buffers, ...more]);
  return {
    target: 'gpu',
    bindings,
    uniforms: collectUniforms(body, [workgroups, ...(tiles ? [tiles.kept, tiles.over] : [])], tensors),
    body,
    shared,
    workgroupSize: mostLanes,
    workgroups,
    ...(tiles && { tiles }),
    reductions: reductionsOf([stage]),
    traffic: trafficOf(body, bindings, root),
    formulas: formulasOf([stage]),
  };
}

/** Positions along axes from one flat index over them, innermost fastest. */
export function unflatten({ nest, names, tensors }: Builder, flat: Code, axes: readonly string[]): void {
  let rest = flat;
  for (let i = axes.length - 1; i >= 0; i--) {
    const size = tensors.size(axes[i]!);
    const position = i === 0 ? rest : binary('%', rest, size);
    const id = names.fresh(`i_${axes[i]}`);
    nest.push({ do: 'let', name: id, value: position });
    nest.at(axes[i]!, name(id, 'index'));
    if (i > 0) rest = nest.local('rest', binary('/', rest, size));
  }
}

export const elementsOf = ({ tensors, inOrder }: Builder, axes: Axes): Code =>
  times(...inOrder(axes).map(tensors.size));
export const realCount = (builder: Builder, axes: Axes): Code => ({
  code: 'real',
  type: 'real',
  x: elementsOf(builder, axes),
});

export function forLoop(
  { nest, names }: Builder,
  axes: readonly string[],
  from: Code,
  limit: Code,
  step: Code,
  body: (position: Code) => void,
  known: readonly string[] = axes,
): void {
  const id = names.fresh('i');
  const statements = nest.scope(known, () => body(name(id, 'index')));
  nest.push({ do: 'for', axes, name: id, from, below: limit, step, body: statements });
}

/** By how much the position along each axis grows with a step, where positions are not told apart by dividing. */
export function stridesOf({ nest, tensors }: Builder, axes: readonly string[], step: Code): Code[] {
  let rest = step;
  const inner = axes
    .slice(1)
    .reverse()
    .map((axis) => {
      const stride = nest.local('stride', binary('%', rest, tensors.size(axis)));
      rest = nest.local('rest', binary('/', rest, tensors.size(axis)));
      return stride;
    });
  return [rest, ...inner.reverse()];
}

/** A loop over elements `step` apart, whose positions are counted up with carry instead of divided out each time. */
export function walk(
  builder: Builder,
  axes: readonly string[],
  { start, end, step, strides }: { start: Code; end: Code; step: Code; strides: readonly Code[] },
  body: (position: Code) => void,
): void {
  if (axes.length < 2) {
    forLoop(builder, axes, start, end, step, (position) => {
      unflatten(builder, position, axes);
      body(position);
    });
    return;
  }
  const { nest, names, tensors } = builder;
  const positions = axes.map((axis) => names.fresh(`i_${axis}`));
  const at = (i: number): Code => name(positions[i]!, 'index');
  let rest = start;
  for (let i = axes.length - 1; i >= 0; i--) {
    const size = tensors.size(axes[i]!);
    nest.push({ do: 'var', name: positions[i]!, value: i === 0 ? rest : binary('%', rest, size) });
    if (i > 0) rest = nest.local('rest', binary('/', rest, size));
  }
  forLoop(builder, axes, start, end, step, (position) => {
    for (const [i, axis] of axes.entries()) nest.at(axis, at(i));
    body(position);
    const add = (i: number, more: Code): Statement => ({
      do: 'assign',
      name: positions[i]!,
      value: binary('+', at(i), more),
    });
    for (const i of axes.keys()) nest.push(add(i, strides[i]!));
    for (let i = axes.length - 1; i > 0; i--) {
      const size = tensors.size(axes[i]!);
      const wrapped: Statement = { do: 'assign', name: positions[i]!, value: binary('-', at(i), size) };
      const test: Code = { code: 'compare', type: 'bool', operator: '>=', a: at(i), b: size };
      nest.push({ do: 'if', test, body: [wrapped, add(i - 1, index(1))] });
    }
  });
}

export function guarded({ nest }: Builder, test: Code, axes: readonly string[], body: () => void): void {
  const statements = nest.scope(axes, body, true);
  nest.push({ do: 'if', test, body: statements });
}

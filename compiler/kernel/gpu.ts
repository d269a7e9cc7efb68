/**
 * Stages to WGSL-shaped kernels. A reduction is spread over workgroups by what it keeps, so that neighbouring lanes
 * read neighbouring elements: one workgroup a kept index where the innermost axis is summed, a tile of kept indices
 * where it is kept, and partial sums where two groups of reductions over different axes share one read.
 */
import { type Axes, difference, intersection } from '../graph/axes.ts';
import type { Program, ProgramOutput } from '../schedule/program.ts';
import type { Accumulation, Group, MapStage, ReduceStage, Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { createBody, storeEpilogue, storeOutputs } from './body.ts';
import { fewBindings, manyBindings } from './bound.ts';
import { collectBindings, collectUniforms, prune } from './collect.ts';
import {
  type Binding,
  below,
  binary,
  type Code,
  ceilDiv,
  index,
  type Kernel,
  load,
  name,
  real,
  times,
} from './kernel.ts';
import { monoids, resultsOf } from './monoids.ts';
import type { Names } from './names.ts';
import type { Nest } from './nest.ts';
import { type Packed, packSmallValues } from './pack.ts';
import { formulasOf, reductionsOf, trafficOf } from './report.ts';
import { createScalars, type Scalars } from './scalar.ts';
import { createTensors, expressionsOf, inputsOf, outputsOf, type Tensors } from './tensors.ts';

const workgroupSize = 256;
/** Kept indices a tile of the column reduction spans, and rows it takes at a time. */
const tileWidth = 32;
const tileRows = workgroupSize / tileWidth;
/** Rows that one workgroup takes when row and column reductions share a read. */
const blockRows = 16;
/** Accumulators that are merged through workgroup memory at a time. */
const mergeBatch = 12;
/** Elements a lane takes in before it merges them into its total. */
const chunk = 64;
const lane = name('lane', 'index');
/** The workgroup's number; two-dimensional dispatches are folded back by the emitter. */
const group = name('workgroup', 'index');

/** What all kernels of one program share. */
interface Context {
  readonly buffers: readonly Tensor[];
  readonly tensors: Tensors;
  readonly scalars: Scalars;
  readonly packed: Packed;
  readonly inOrder: (axes: Axes) => string[];
}

interface Builder extends Context {
  readonly nest: Nest;
  readonly names: Names;
}

type Tensor = Omit<Binding, 'access'>;

export function lowerGpu(
  entry: Entry,
  program: Program,
  stages: readonly Stage[],
  layout: readonly string[],
): Kernel[] {
  const tensors = createTensors(entry, program, layout);
  const inOrder = (axes: Axes): string[] => layout.filter((axis) => axes.includes(axis));
  // every buffer has its name before any local can take it
  const buffers = [
    ...inputsOf(stages.flatMap(expressionsOf)).map(tensors.ofInput),
    ...stages.flatMap(outputsOf).map(tensors.ofOutput),
  ];
  const scalars = createScalars();
  const packed = packSmallValues(stages, scalars, tensors, inOrder);
  const context: Context = { tensors, scalars, packed, inOrder, buffers: [...buffers, ...packed.buffers] };
  return stages.flatMap((stage) => {
    const found = packed.in(stage);
    const open = (): Builder => {
      const names = tensors.locals();
      return { ...context, names, nest: createBody(tensors, names, scalars, found) };
    };
    if (stage.kind === 'map') return mapKernels(stage.outputs, open);
    return splitStage(stage, inOrder).flatMap((part) => {
      const kernels = reduceKernels(part, open);
      const isCrowded = kernels.some(({ bindings }) => bindings.length > fewBindings);
      if (part.riders.length === 0 || !isCrowded) return kernels;
      return [...reduceKernels({ ...part, riders: [] }, open), ...mapKernels(part.riders, open)];
    });
  });
}

function reduceKernels(part: ReduceStage, open: () => Builder): Kernel[] {
  const [first, second] = part.groups;
  if (first && second) return sharedKernels(part, first, second, open);
  const builder = open();
  return [isColumns(part, builder.inOrder) ? columnKernel(part, builder) : rowKernel(part, builder)];
}

/** One kernel, or where it would bind more buffers than devices allow, one for each half of the outputs. */
function mapKernels(outputs: readonly ProgramOutput[], open: () => Builder): Kernel[] {
  const kernel = mapKernel({ kind: 'map', outputs }, open());
  if (kernel.bindings.length <= manyBindings || outputs.length === 1) return [kernel];
  // state is stored last, after all else has been read
  const half = Math.ceil(outputs.length / 2);
  return [outputs.slice(0, half), outputs.slice(half)].flatMap((part) => mapKernels(part, open));
}

/** Two groups can share a read where each keeps what the other sums; more or other groups each read on their own. */
function splitStage(stage: ReduceStage, inOrder: Builder['inOrder']): ReduceStage[] {
  const innermost = inOrder(stage.space).at(-1)!;
  const isSimple = (group: Group): boolean => group.accumulations.every(({ monoid }) => monoid !== 'moments');
  const rows = stage.groups.find((g) => g.over.includes(innermost) && isSimple(g));
  const columns =
    rows && stage.groups.find((g) => intersection(g.over, rows.over).length === 0 && isSimple(g));
  const paired = rows && columns ? [rows, columns] : [];
  const alone = stage.groups.filter((g) => !paired.includes(g));
  const parts = [...(paired.length > 0 ? [paired] : []), ...alone.map((g) => [g])];
  return parts.map((groups, i) => ({ ...stage, groups, riders: i === 0 ? stage.riders : [] }));
}

const isColumns = ({ groups, space }: ReduceStage, inOrder: Builder['inOrder']): boolean =>
  groups[0]!.kept.includes(inOrder(space).at(-1)!);

function finishKernel(
  { nest, tensors, buffers }: Builder,
  stage: Stage,
  workgroups: Code,
  root: readonly string[],
  shared: Kernel['shared'],
  more: readonly Tensor[] = [],
): Kernel {
  const body = prune(nest.finish());
  const bindings = collectBindings(body, [...buffers, ...more]);
  return {
    target: 'gpu',
    bindings,
    uniforms: collectUniforms(body, [workgroups], tensors),
    body,
    phases: [],
    shared,
    workgroupSize,
    workgroups,
    reductions: reductionsOf([stage]),
    traffic: trafficOf(body, bindings, root),
    formulas: formulasOf([stage]),
  };
}

/** Positions along axes from one flat index over them, innermost fastest. */
function unflatten({ nest, names, tensors }: Builder, flat: Code, axes: readonly string[]): void {
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

const elementsOf = ({ tensors, inOrder }: Builder, axes: Axes): Code =>
  times(...inOrder(axes).map(tensors.size));
const realCount = (builder: Builder, axes: Axes): Code => ({
  code: 'real',
  type: 'real',
  x: elementsOf(builder, axes),
});

function forLoop(
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

function guarded({ nest }: Builder, test: Code, axes: readonly string[], body: () => void): void {
  const statements = nest.scope(axes, body, { pinned: true });
  nest.push({ do: 'if', test, body: statements });
}

/** One invocation an element; outputs over other spaces take invocations from the start of the same dispatch. */
function mapKernel(stage: MapStage, builder: Builder): Kernel {
  const { nest, tensors, inOrder } = builder;
  const spaces = new Map<string, ProgramOutput[]>();
  for (const output of stage.outputs) {
    const key = inOrder(output.axes).join(' ');
    spaces.set(key, [...(spaces.get(key) ?? []), output]);
  }
  const at = nest.local('at', binary('+', binary('*', group, index(workgroupSize)), lane));
  const sections = [...spaces].map(([key, outputs]) => ({ axes: key === '' ? [] : key.split(' '), outputs }));
  sections.sort((a, b) => b.axes.length - a.axes.length);
  for (const { axes, outputs } of sections) {
    guarded(builder, below(at, elementsOf(builder, axes)), axes, () => {
      unflatten(builder, at, axes);
      storeOutputs(nest, tensors, outputs);
    });
  }
  const most = sections.map(({ axes }) => ceilDiv(elementsOf(builder, axes), workgroupSize));
  const workgroups = most.reduce((a, b): Code => ({ code: 'greatest', type: 'index', a, b }));
  const largest = sections[0]?.axes ?? [];
  return finishKernel(builder, stage, workgroups, largest, []);
}

/** Local variables that hold the parts or the state of one accumulation. */
interface Variables {
  readonly accumulation: Accumulation;
  readonly names: readonly string[];
}

const valuesOf = ({ names }: Variables): Code[] => names.map((id) => name(id, 'real'));

function openVariables(
  { nest, names }: Builder,
  base: string,
  accumulation: Accumulation,
  values: readonly Code[],
): Variables {
  const ids = values.map((value) => {
    const id = names.fresh(base);
    nest.push({ do: 'var', name: id, value });
    return id;
  });
  return { accumulation, names: ids };
}

const openTotals = (builder: Builder, group: Group): Variables[] =>
  group.accumulations.map((accumulation) =>
    openVariables(builder, 'total', accumulation, monoids[accumulation.monoid].identity.map(real)),
  );

function assign({ nest }: Builder, { names }: Variables, values: readonly Code[]): void {
  const settled = names.length > 1 ? values.map((value) => nest.local('next', value)) : values;
  for (const [i, id] of names.entries()) nest.push({ do: 'assign', name: id, value: settled[i]! });
}

function accumulate(builder: Builder, running: readonly Variables[], firsts: readonly Code[]): void {
  const { nest } = builder;
  for (const [k, variables] of running.entries()) {
    const { monoid, x } = variables.accumulation;
    const stepped = monoids[monoid].step(valuesOf(variables), nest.value(x), firsts[k]!, nest.local);
    for (const [i, id] of variables.names.entries())
      nest.push({ do: 'assign', name: id, value: stepped[i]! });
  }
}

/**
 * One lane's elements, `step` apart, taken in by chunks that are merged into the totals: rounding grows with the
 * chunk and the number of chunks, not with the number of elements.
 */
function accumulateChunks(
  builder: Builder,
  totals: readonly Variables[],
  axes: readonly string[],
  from: Code,
  limit: Code,
  step: number,
  each: () => void,
): void {
  const { nest } = builder;
  forLoop(builder, [], from, limit, index(step * chunk), (start) => {
    const past = binary('+', start, index(step * chunk));
    const end = nest.local('end', { code: 'least', type: 'index', a: past, b: limit });
    const firsts = totals.map(({ accumulation }) =>
      monoids[accumulation.monoid].isShifted ? firstOf(builder, accumulation, axes, start) : real(0),
    );
    const running = totals.map(({ accumulation }) =>
      openVariables(builder, 'sum', accumulation, monoids[accumulation.monoid].running.map(real)),
    );
    forLoop(builder, axes, start, end, index(step), (position) => {
      unflatten(builder, position, axes);
      accumulate(builder, running, firsts);
      each();
    });
    const elements: Code = { code: 'real', type: 'real', x: ceilDiv(binary('-', end, start), step) };
    for (const [k, variables] of running.entries()) {
      const { state, merge } = monoids[variables.accumulation.monoid];
      const taken = state(valuesOf(variables), elements, firsts[k]!, nest.local);
      const settled = taken.length > 1 ? taken.map((value) => nest.local('taken', value)) : taken;
      assign(builder, totals[k]!, merge(valuesOf(totals[k]!), settled, nest.local));
    }
  });
}

/** The operand at one of the elements it is reduced over: the shift of its moments. */
function firstOf(builder: Builder, { x }: Accumulation, axes: readonly string[], position: Code): Code {
  let first: Code = real(0);
  const statements = builder.nest.scope(axes, () => {
    unflatten(builder, position, axes);
    first = builder.nest.local('first', builder.nest.value(x));
  });
  builder.nest.push(...statements);
  return first;
}

/** Accumulations whose states fit the workgroup memory together. */
function batchesOf(totals: readonly Variables[]): Variables[][] {
  const batches: Variables[][] = [[]];
  for (const variables of totals) {
    const open = batches[batches.length - 1]!;
    const taken = open.reduce((sum, { names }) => sum + names.length, 0);
    if (open.length > 0 && taken + variables.names.length > mergeBatch) batches.push([variables]);
    else open.push(variables);
  }
  return batches;
}

/**
 * Merges the lanes' totals by halving, in workgroup memory; afterwards the lanes below `width` hold the totals of the
 * lanes that are congruent to them.
 */
function mergeLanes({ nest, names }: Builder, totals: readonly Variables[], width: number): Kernel['shared'] {
  const batches = batchesOf(totals);
  const most = Math.max(...batches.map((batch) => batch.flatMap((variables) => variables.names).length));
  const shared = Array.from({ length: most }, () => ({ name: names.fresh('lanes'), length: workgroupSize }));
  for (const [b, batch] of batches.entries()) {
    if (b > 0) nest.push({ do: 'barrier' });
    let next = 0;
    const placed = batch.map((variables) => ({
      variables,
      arrays: variables.names.map(() => shared[next++]!.name),
    }));
    for (const { variables, arrays } of placed) {
      for (const [i, array] of arrays.entries()) {
        nest.push({ do: 'store', array, index: lane, value: name(variables.names[i]!, 'real') });
      }
    }
    nest.push({ do: 'barrier' });
    const half = names.fresh('half');
    const merges = nest.scope([], () => {
      const other = nest.local('other', binary('+', lane, name(half, 'index')));
      for (const { variables, arrays } of placed) {
        const merged = monoids[variables.accumulation.monoid].merge(
          arrays.map((array) => nest.local('a', load(array, lane))),
          arrays.map((array) => nest.local('b', load(array, other))),
          nest.local,
        );
        for (const [i, array] of arrays.entries()) {
          nest.push({ do: 'store', array, index: lane, value: merged[i]! });
        }
      }
    });
    nest.push({
      do: 'halve',
      name: half,
      from: workgroupSize / 2,
      downTo: width,
      body: [{ do: 'if', test: below(lane, name(half, 'index')), body: merges }, { do: 'barrier' }],
    });
    for (const { variables, arrays } of placed) {
      for (const [i, array] of arrays.entries()) {
        nest.push({ do: 'assign', name: variables.names[i]!, value: load(array, lane) });
      }
    }
  }
  return shared;
}

/** Results, scratch and outputs that follow from a group's totals, at the current kept index. */
function epilogue(builder: Builder, group: Group, totals: readonly Variables[]): void {
  const { nest, tensors } = builder;
  for (const variables of totals) {
    const elements = realCount(builder, group.over);
    for (const { expr, base, value } of resultsOf(variables.accumulation, valuesOf(variables), elements)) {
      nest.define(expr, base, value);
    }
  }
  storeEpilogue(nest, tensors, group, ({ role }) => role !== 'scratch', builder.packed.by(group));
}

const isFirstLane: Code = { code: 'compare', type: 'bool', operator: '==', a: lane, b: index(0) };

/** One workgroup a kept index; its lanes stride over what is summed. */
function rowKernel(stage: ReduceStage, builder: Builder): Kernel {
  const { nest, tensors, inOrder } = builder;
  const [reduced] = stage.groups as [Group];
  const rows = elementsOf(builder, reduced.kept);
  let shared: Kernel['shared'] = [];
  nest.push({ do: 'return_if', test: { code: 'compare', type: 'bool', operator: '>=', a: group, b: rows } });
  const statements = nest.scope([...reduced.kept], () => {
    unflatten(builder, group, inOrder(reduced.kept));
    const totals = openTotals(builder, reduced);
    const limit = elementsOf(builder, reduced.over);
    accumulateChunks(builder, totals, inOrder(reduced.over), lane, limit, workgroupSize, () => {
      storeOutputs(nest, tensors, stage.riders);
    });
    shared = mergeLanes(builder, totals, 1);
    guarded(builder, isFirstLane, [], () => epilogue(builder, reduced, totals));
  });
  nest.push(...statements);
  return finishKernel(builder, stage, rows, reduced.kept, shared);
}

/** Lanes across what is kept, because it is innermost; a tile of rows is summed at a time. */
function columnKernel(stage: ReduceStage, builder: Builder): Kernel {
  const { nest, tensors, inOrder } = builder;
  const [reduced] = stage.groups as [Group];
  const columns = elementsOf(builder, reduced.kept);
  const inTile = binary('%', lane, index(tileWidth));
  const column = nest.local('column', binary('+', binary('*', group, index(tileWidth)), inTile));
  const isInside = below(column, columns);
  let shared: Kernel['shared'] = [];
  const statements = nest.scope([...reduced.kept], () => {
    unflatten(builder, column, inOrder(reduced.kept));
    const totals = openTotals(builder, reduced);
    guarded(builder, isInside, [], () => {
      const from = nest.local('from', binary('/', lane, index(tileWidth)));
      const limit = elementsOf(builder, reduced.over);
      accumulateChunks(builder, totals, inOrder(reduced.over), from, limit, tileRows, () => {
        storeOutputs(nest, tensors, stage.riders);
      });
    });
    shared = mergeLanes(builder, totals, tileWidth);
    const isFirstRow = below(lane, index(tileWidth));
    guarded(builder, { code: 'logic', type: 'bool', operator: 'and', a: isFirstRow, b: isInside }, [], () =>
      epilogue(builder, reduced, totals),
    );
  });
  nest.push(...statements);
  return finishKernel(builder, stage, ceilDiv(columns, tileWidth), reduced.kept, shared);
}

/**
 * Two groups in one read: a workgroup takes a block of rows and strides over the columns. Sums over columns (`rows`)
 * finish here; sums over rows (`columns`) leave one partial a block, which a second, small kernel merges.
 */
function sharedKernels(stage: ReduceStage, rows: Group, columns: Group, open: () => Builder): Kernel[] {
  const builder = open();
  const { nest, names, tensors, inOrder } = builder;
  const both = intersection(rows.kept, columns.kept);
  const rowAxes = inOrder(difference(rows.kept, both));
  const columnAxes = inOrder(difference(columns.kept, both));
  const rowCount = times(...rowAxes.map(tensors.size));
  const columnCount = times(...columnAxes.map(tensors.size));
  const outer = times(...inOrder(both).map(tensors.size));
  const blocks = ceilDiv(rowCount, blockRows);
  const workgroups = binary('*', outer, blocks);
  nest.push({
    do: 'return_if',
    test: { code: 'compare', type: 'bool', operator: '>=', a: group, b: workgroups },
  });

  const partialLength = times(blocks, outer, columnCount);
  const partialsLength = times(index(columns.accumulations.length), partialLength);
  const partials = tensors.scratch('partials', columns.kept, partialsLength);
  const rowArrays = rows.accumulations.map(() => names.fresh('rows'));
  let shared: Kernel['shared'] = [];
  const statements = nest.scope([...both], () => {
    unflatten(builder, nest.local('outer', binary('%', group, outer)), inOrder(both));
    const block = nest.local('block', binary('/', group, outer));
    const start = nest.local('start', binary('*', block, index(blockRows)));
    const blockEnd = binary('+', start, index(blockRows));
    const end = nest.local('end', { code: 'least', type: 'index', a: blockEnd, b: rowCount });
    for (const [k, { monoid }] of rows.accumulations.entries()) {
      nest.push({
        do: 'array',
        name: rowArrays[k]!,
        length: index(blockRows),
        fill: monoids[monoid].running[0]!,
      });
    }
    forLoop(builder, columnAxes, lane, columnCount, index(workgroupSize), (column) => {
      unflatten(builder, column, columnAxes);
      const totals = openTotals(builder, columns);
      const unshifted = totals.map(() => real(0));
      forLoop(builder, rowAxes, start, end, index(1), (row) => {
        unflatten(builder, row, rowAxes);
        accumulate(builder, totals, unshifted);
        const at = nest.local('slot', binary('-', row, start));
        for (const [k, { monoid, x }] of rows.accumulations.entries()) {
          const [value] = monoids[monoid].step([load(rowArrays[k]!, at)], nest.value(x), real(0), nest.local);
          nest.push({ do: 'store', array: rowArrays[k]!, index: at, value: value! });
        }
        storeOutputs(nest, tensors, stage.riders);
      });
      const at = nest.local('at', binary('+', binary('*', group, columnCount), column));
      for (const [k, total] of totals.entries()) {
        const slot = binary('+', times(index(k), partialLength), at);
        nest.push({ do: 'store', array: partials.name, index: slot, value: valuesOf(total)[0]! });
      }
    });
    forLoop(builder, rowAxes, start, end, index(1), (row) => {
      unflatten(builder, row, rowAxes);
      const at = nest.local('slot', binary('-', row, start));
      const totals = rows.accumulations.map((accumulation, k) =>
        openVariables(builder, 'total', accumulation, [load(rowArrays[k]!, at)]),
      );
      shared = mergeLanes(builder, totals, 1);
      guarded(builder, isFirstLane, [], () => epilogue(builder, rows, totals));
      nest.push({ do: 'barrier' });
    });
  });
  nest.push(...statements);
  const groups = [rows, { ...columns, epilogue: [] }];
  const kernel = finishKernel(builder, { ...stage, groups }, workgroups, both, shared, [partials]);
  return [kernel, mergeKernel(columns, partials, blocks, open(), both)];
}

/** Merges the partial results of blocks and finishes: one invocation a kept index. */
function mergeKernel(columns: Group, partials: Tensor, blocks: Code, builder: Builder, both: Axes): Kernel {
  const { nest, inOrder } = builder;
  const own = inOrder(difference(columns.kept, both));
  const count = elementsOf(builder, columns.kept);
  const at = nest.local('at', binary('+', binary('*', group, index(workgroupSize)), lane));
  guarded(builder, below(at, count), [...columns.kept], () => {
    unflatten(builder, at, [...inOrder(both), ...own]);
    const totals = openTotals(builder, columns);
    forLoop(builder, [], index(0), blocks, index(1), (block) => {
      const from = nest.local('from', binary('+', binary('*', block, count), at));
      for (const [k, total] of totals.entries()) {
        const partial = load(partials.name, binary('+', times(index(k), blocks, count), from));
        const { merge } = monoids[total.accumulation.monoid];
        assign(builder, total, merge(valuesOf(total), [partial], nest.local));
      }
    });
    epilogue(builder, columns, totals);
  });
  const groups = [{ ...columns, accumulations: [] }];
  const stage: ReduceStage = { kind: 'reduce', space: columns.kept, groups, riders: [] };
  return finishKernel(builder, stage, ceilDiv(count, workgroupSize), columns.kept, [], [partials]);
}

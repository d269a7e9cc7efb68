/**
 * Stages to one function for the CPU. Loops run in memory order. Where what is kept can be the outer loop, one loop
 * over it holds the reduction, its epilogue and what follows, so that the second read of the data comes from cache;
 * otherwise accumulators are arrays. Accumulation is in float64 whatever the arrays hold.
 */
import { type Axes, axesOf } from '../graph/axes.ts';
import type { Program, ProgramOutput } from '../schedule/program.ts';
import type { Accumulation, Group, ReduceStage, Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { createBody, storeEpilogue, storeOutputs } from './body.ts';
import { collectBindings, collectUniforms, prune } from './collect.ts';
import { fuse, keepsOutside } from './fuse.ts';
import { type Code, index, type Kernel, load, name, real, times } from './kernel.ts';
import { monoids, resultsOf } from './monoids.ts';
import { formulasOf, reductionsOf, trafficOf } from './report.ts';
import { createTensors, expressionsOf, inputsOf, outputsOf } from './tensors.ts';

export function lowerCpu(
  entry: Entry,
  program: Program,
  stages: readonly Stage[],
  layout: readonly string[],
): Kernel {
  const tensors = createTensors(entry, program, layout);
  const inOrder = (axes: Axes): string[] => layout.filter((axis) => axes.includes(axis));
  const used = [
    ...stages.flatMap((stage) => inputsOf(expressionsOf(stage)).map(tensors.ofInput)),
    ...stages.flatMap(outputsOf).map(tensors.ofOutput),
  ];
  const names = tensors.locals();
  const nest = createBody(tensors, names);

  function loops(axes: readonly string[], body: () => void): void {
    const [axis, ...rest] = axes;
    if (axis === undefined) {
      body();
      return;
    }
    const i = names.fresh(`i_${axis}`);
    const statements = nest.scope([axis], () => {
      nest.at(axis, name(i, 'index'));
      loops(rest, body);
    });
    nest.push({
      do: 'for',
      axes: [axis],
      name: i,
      from: index(0),
      below: tensors.size(axis),
      step: index(1),
      body: statements,
    });
  }

  const elementsOf = (axes: Axes): Code => times(...inOrder(axes).map(tensors.size));
  const realCount = (axes: Axes): Code => ({ code: 'real', type: 'real', x: elementsOf(axes) });

  /** The operand at the first of the elements it is reduced over: the shift of its moments. */
  function firstOf({ x, over }: Accumulation): Code {
    let first: Code = real(0);
    const statements = nest.scope([...over], () => {
      for (const axis of over) nest.at(axis, index(0));
      first = nest.local('first', nest.value(x));
    });
    nest.push(...statements);
    return first;
  }

  interface Accumulator {
    readonly accumulation: Accumulation;
    readonly parts: readonly string[];
    /** For shifted accumulations: a local, or where there are many an array. */
    readonly first: string;
  }

  const namesFor = (accumulation: Accumulation, base: string): Accumulator => ({
    accumulation,
    parts: monoids[accumulation.monoid].running.map(() => names.fresh(base)),
    first: names.fresh('first'),
  });

  function defineResults({ accumulation }: Accumulator, parts: readonly Code[], first: Code): void {
    const count = realCount(accumulation.over);
    const state = monoids[accumulation.monoid].state(parts, count, first, nest.local);
    for (const { expr, base, value } of resultsOf(accumulation, state, count)) nest.define(expr, base, value);
  }

  /** The reduction's own loops inside the loop over what it keeps; accumulators are local variables. */
  function reduceInside(stage: ReduceStage, group: Group, isReadLater: (name: string) => boolean): void {
    const accumulators = group.accumulations.map((accumulation) => namesFor(accumulation, 'sum'));
    const firsts = accumulators.map(({ accumulation }) =>
      monoids[accumulation.monoid].isShifted ? firstOf(accumulation) : real(0),
    );
    for (const { accumulation, parts } of accumulators) {
      for (const [i, part] of parts.entries()) {
        nest.push({ do: 'var', name: part, value: real(monoids[accumulation.monoid].running[i]!) });
      }
    }
    loops(inOrder(group.over), () => {
      for (const [k, { accumulation, parts }] of accumulators.entries()) {
        const before = parts.map((part) => name(part, 'real'));
        const after = monoids[accumulation.monoid].step(
          before,
          nest.value(accumulation.x),
          firsts[k]!,
          nest.local,
        );
        for (const [i, part] of parts.entries()) nest.push({ do: 'assign', name: part, value: after[i]! });
      }
      storeOutputs(nest, tensors, stage.riders);
    });
    for (const [k, accumulator] of accumulators.entries()) {
      const parts = accumulator.parts.map((part) => name(part, 'real'));
      defineResults(accumulator, parts, firsts[k]!);
    }
    const isStored = ({ role, of }: ProgramOutput): boolean => role !== 'scratch' || isReadLater(of);
    storeEpilogue(nest, tensors, group, isStored);
  }

  /** Reductions that keep what the inner loops run over: one pass in memory order, accumulators are arrays. */
  function reduceByArrays(stage: ReduceStage): void {
    const groups = stage.groups.map((group) => ({
      group,
      accumulators: group.accumulations.map((accumulation) => namesFor(accumulation, 'sums')),
    }));
    for (const { group, accumulators } of groups) {
      const length = elementsOf(group.kept);
      for (const { accumulation, parts, first } of accumulators) {
        const { running, isShifted } = monoids[accumulation.monoid];
        for (const [i, part] of parts.entries())
          nest.push({ do: 'array', name: part, length, fill: running[i]! });
        if (!isShifted) continue;
        nest.push({ do: 'array', name: first, length, fill: 0 });
        loops(inOrder(group.kept), () => {
          const value = firstOf(accumulation);
          nest.push({ do: 'store', array: first, index: nest.flat(inOrder(group.kept)), value });
        });
      }
    }
    const loadFirst = ({ accumulation, first }: Accumulator, at: Code): Code =>
      monoids[accumulation.monoid].isShifted ? nest.local('first', load(first, at)) : real(0);
    loops(inOrder(stage.space), () => {
      for (const { group, accumulators } of groups) {
        const at = nest.flat(inOrder(group.kept));
        for (const accumulator of accumulators) {
          const { accumulation, parts } = accumulator;
          const before = parts.map((part) => load(part, at));
          const first = loadFirst(accumulator, at);
          const after = monoids[accumulation.monoid].step(
            before,
            nest.value(accumulation.x),
            first,
            nest.local,
          );
          for (const [i, part] of parts.entries())
            nest.push({ do: 'store', array: part, index: at, value: after[i]! });
        }
      }
      storeOutputs(nest, tensors, stage.riders);
    });
    for (const { group, accumulators } of groups) {
      loops(inOrder(group.kept), () => {
        const at = nest.flat(inOrder(group.kept));
        for (const accumulator of accumulators) {
          const parts = accumulator.parts.map((part) => nest.local('sum', load(part, at)));
          defineResults(accumulator, parts, loadFirst(accumulator, at));
        }
        storeEpilogue(nest, tensors, group, () => true);
      });
    }
  }

  function mapInside(outputs: readonly ProgramOutput[], outer: Axes): void {
    const spaces = new Map<string, ProgramOutput[]>();
    for (const output of outputs) {
      const key = inOrder(output.axes).join(' ');
      spaces.set(key, [...(spaces.get(key) ?? []), output]);
    }
    for (const [key, members] of spaces) {
      const axes = key === '' ? [] : key.split(' ');
      loops(
        axes.filter((axis) => !outer.includes(axis)),
        () => storeOutputs(nest, tensors, members),
      );
    }
  }

  /** Reads of a name by the stages after a fused loop. */
  const readAfter = (last: Stage): ((name: string) => boolean) => {
    const later = stages.slice(stages.indexOf(last) + 1).flatMap((stage) => inputsOf(expressionsOf(stage)));
    return (of) => later.some((node) => node.role === 'scratch' && node.of === of);
  };

  for (const { outer, stages: inside } of fuse(stages, layout)) {
    const isReadLater = readAfter(inside[inside.length - 1]!);
    const scratch = inside.flatMap(outputsOf).filter(({ role, of }) => role === 'scratch' && isReadLater(of));
    const [first] = inside;
    const byArrays = first?.kind === 'reduce' && !keepsOutside(first, layout);
    const local = byArrays ? inside.flatMap(outputsOf).filter(({ role }) => role === 'scratch') : scratch;
    for (const output of local) {
      nest.push({
        do: 'array',
        name: tensors.ofOutput(output).name,
        length: elementsOf(axesOf(output.axes)),
        fill: 0,
      });
    }
    if (byArrays) {
      reduceByArrays(first);
      continue;
    }
    loops(inOrder(outer), () => {
      for (const stage of inside) {
        if (stage.kind === 'map') mapInside(stage.outputs, outer);
        else reduceInside(stage, stage.groups[0]!, isReadLater);
      }
    });
  }

  const body = prune(nest.finish());
  const bindings = collectBindings(body, used).filter(({ role }) => role !== 'scratch');
  return {
    target: 'cpu',
    bindings,
    uniforms: collectUniforms(body, [], tensors),
    body,
    phases: [],
    shared: [],
    reductions: reductionsOf(stages),
    traffic: trafficOf(body, bindings, []),
    formulas: formulasOf(stages),
  };
}

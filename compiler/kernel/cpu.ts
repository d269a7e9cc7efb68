/**
 * Stages to one function for the CPU. Loops run in memory order. Where what is kept can be the outer loop, one loop
 * over it holds the reduction, its epilogue and what follows, so that the second read of the data comes from cache;
 * otherwise accumulators are arrays. Accumulation is in float64 whatever the arrays hold.
 */
import { axesOf } from '../graph/axes.ts';
import type { Program, ProgramOutput } from '../schedule/program.ts';
import type { ReduceStage, Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { elementsOf } from './axis-groups.ts';
import { createBody, storeEpilogue } from './body.ts';
import { collectBindings, collectUniforms, prune } from './collect.ts';
import { joinLoops } from './cpu-join.ts';
import { type Builder, eachAlone, loops, sidesOf } from './cpu-loops.ts';
import { mapElements } from './cpu-map.ts';
import { defineSpread, partsIn, reduceRows, reduceSpread } from './cpu-reduce.ts';
import { type Fused, fuse, keepsOutside } from './fuse.ts';
import { index, type Kernel } from './kernel.ts';
import { formulasOf, reductionsOf, trafficOf } from './report.ts';
import { createTensors, expressionsOf, inputsOf, outputsOf } from './tensors.ts';

/**
 * The one function of a program with these stages. Its arrays are row-major, with their axes in the order of `layout`;
 * scratch is inside.
 */
export function lowerCpu(
  entry: Entry,
  program: Program,
  stages: readonly Stage[],
  layout: readonly string[],
): Kernel {
  const tensors = createTensors(entry, program, layout);
  const { inOrder } = tensors;
  const used = [
    ...stages.flatMap((stage) => inputsOf(expressionsOf(stage)).map(tensors.ofInput)),
    ...stages.flatMap(outputsOf).map(tensors.ofOutput),
  ];
  const names = tensors.locals();
  const found: Builder['found'] = {};
  const nest = createBody(tensors, names, {
    namesRows: true,
    found: (scalar, place) => found.current?.(scalar, place),
  });
  const builder: Builder = { tensors, names, nest, inOrder, found, sides: sidesOf(program.direction) };

  for (const fused of fuse(stages, layout)) {
    const first = fused.stages[0]!;
    const isSpread = first.kind === 'reduce' && !keepsOutside(first, layout);
    const isRead = readAfter(fused, stages);
    const isKept = ({ role, of }: ProgramOutput): boolean => role === 'scratch' && (isSpread || isRead(of));
    for (const output of fused.stages.flatMap(outputsOf).filter(isKept)) {
      const length = elementsOf(builder, axesOf(output.axes));
      nest.push({ do: 'array', name: tensors.ofOutput(output).name, length, fill: 0 });
    }
    if (isSpread) spread(builder, first);
    else inTurn(builder, fused, isRead);
  }

  const body = prune(joinLoops(nest.finish()));
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

/** One pass for all that a stage reduces, then what follows for each of the kept indices. */
function spread(builder: Builder, stage: ReduceStage): void {
  const { nest, tensors, inOrder } = builder;
  const spreads = reduceSpread(builder, stage);
  for (const reduced of spreads) {
    loops(builder, eachAlone(inOrder(reduced.group.kept)), () => {
      defineSpread(builder, reduced);
      storeEpilogue(nest, tensors, reduced.group, { isStored: () => true });
    });
  }
}

/** Stages in turn inside one loop over what they keep. */
function inTurn(builder: Builder, { outer, stages }: Fused, isRead: (name: string) => boolean): void {
  const { nest, names, tensors, inOrder } = builder;
  const reductions = stages.filter((stage) => stage.kind === 'reduce');
  const sums = names.fresh('sums');
  const length = index(Math.max(...reductions.map(partsIn)));
  if (reductions.length > 0) nest.push({ do: 'array', name: sums, length, fill: 0 });
  loops(builder, eachAlone(inOrder(outer)), () => {
    for (const stage of stages) {
      if (stage.kind === 'map') {
        mapElements(builder, stage.outputs, outer);
        continue;
      }
      reduceRows(builder, stage, sums);
      const isStored = ({ role, of }: ProgramOutput): boolean => role !== 'scratch' || isRead(of);
      storeEpilogue(nest, tensors, stage.groups[0]!, { isStored });
    }
  });
}

/** Whether stages outside a fused loop read a name. */
function readAfter({ stages: inside }: Fused, stages: readonly Stage[]): (name: string) => boolean {
  const others = stages.filter((stage) => !inside.includes(stage));
  const read = others.flatMap((stage) => inputsOf(expressionsOf(stage)));
  return (of) => read.some((node) => node.role === 'scratch' && node.of === of);
}

/** The section on kernels: stage by stage what is reduced and what follows, above the code that does it. */

import { printKernels } from '../emit/typescript.ts';
import { printWgsl } from '../emit/wgsl.ts';
import { sameAxes } from '../graph/axes.ts';
import { inputName, tensorName } from '../graph/print.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { ProgramOutput } from '../schedule/program.ts';
import type { Stage } from '../schedule/stages.ts';
import { costProse } from './costs.ts';
import type { Derivation } from './derivation.ts';
import { type Block, equation, heading, listOf, paragraph } from './document.ts';
import { nameNotation } from './notation.ts';
import type { Part } from './part.ts';
import { pictureOf } from './picture.ts';
import { inputNodes, type Plan } from './plan.ts';
import { shareLong } from './share.ts';
import { textOf } from './text.ts';
import { words } from './words.ts';
import type { Writer } from './writer.ts';

const labelOf = ({ role, of }: Pick<ProgramOutput, 'role' | 'of'>): string => tensorName(role, of);

export function kernelBlocks(part: Part, { entry, parts }: Derivation, writer: Writer): Block[] {
  const { inOrder, write } = writer;
  const { direction, results, plan } = part;
  const names = results.map(({ name }) => nameNotation(name));
  if (!plan) return [];
  const { kernels, anchor } = words[direction];
  const id = `${writer.id}-${anchor}-kernels`;
  const code: Code = { name: `${entry.name}_${direction}`, id };
  const intro: Block[] = [
    heading(2, parts.length > 1 ? kernels : 'Kernels', id),
    ...(names.length > 1
      ? [paragraph(...listOf(names), ' are computed together. ', ...costProse(plan, entry).flat())]
      : []),
  ];
  const title = `What is computed from what, for ${names.map((name) => textOf(name)).join(', ')}`;
  const picture = pictureOf(plan, title, inOrder, (e) => textOf(write(e)), labelOf);
  return [
    ...intro,
    { is: 'picture', picture },
    ...plan.stages.flatMap((stage, i) => stageBlocks(stage, i, plan, code, writer)),
    {
      is: 'code',
      title: 'The same on the CPU, as TypeScript',
      text: functionText(plan.cpu, code.name),
    },
  ];
}

/** What the code of a direction is called, and its sections' anchors. */
interface Code {
  readonly name: string;
  readonly id: string;
}

function stageBlocks(stage: Stage, i: number, plan: Plan, { name, id }: Code, writer: Writer): Block[] {
  const { inOrder } = writer;
  const over = stage.kind === 'map' ? [] : [...new Set(stage.groups.flatMap((group) => group.over))];
  const title =
    stage.kind === 'map'
      ? `Stage ${i + 1}: element by element`
      : `Stage ${i + 1}: reductions over ${inOrder(over).join(', ')}`;
  const kernels = plan.gpu.filter((kernel) => kernel.stage === i);
  const texts = kernels.map(({ kernel }): Block => {
    const number = plan.gpu.findIndex((other) => other.kernel === kernel) + 1;
    const text = printWgsl(kernel, `${name}_${number}`, []).trim();
    return { is: 'code', title: `WGSL, kernel ${number} of ${plan.gpu.length}`, text };
  });
  return [heading(3, title, `${id}-stage-${i + 1}`), ...formulaBlocks(stage, writer), ...texts];
}

/** A stage's outputs, after what is read for them. */
function formulaBlocks(stage: Stage, { collect, inOrder, fresh }: Writer): Block[] {
  const name = fresh();
  const rows = (outputs: readonly ProgramOutput[]): Block => {
    const shared = shareLong(
      outputs.map(({ expr }) => collect(expr)),
      name,
    );
    const defined = shared.definitions.map((definition) => equation(definition.name, definition.of));
    const results = outputs.map((output, i) =>
      equation(labelOf(output), shared.roots[i]!, { axes: inOrder(output.axes) }),
    );
    return { is: 'equations', rows: [...defined, ...results] };
  };
  if (stage.kind === 'map') return [rows(stage.outputs)];
  const blocks = stage.groups.flatMap(({ epilogue, accumulations, over }): Block[] => {
    const read = inputNodes(accumulations.map(({ x }) => x)).filter(({ axes }) =>
      sameAxes(axes, stage.space),
    );
    const data = listOf(read.map((node) => nameNotation(inputName(node))));
    const words = `Reduced over ${inOrder(over).join(', ')}`;
    return [paragraph(words, ...(data.length > 0 ? [' in one read of ', ...data] : []), ':'), rows(epilogue)];
  });
  return stage.riders.length === 0
    ? blocks
    : [...blocks, paragraph('In the same read, element by element:'), rows(stage.riders)];
}

/** A CPU kernel as a function, without the documentation that generated files carry. */
function functionText(kernel: Kernel, name: string): string {
  const parameters = [
    ...kernel.bindings.map((binding) => `${binding.name}: Floats`),
    ...kernel.uniforms.map((uniform) => `${uniform.name}: number`),
  ];
  const head = `export function ${name}(\n${parameters.map((parameter) => `  ${parameter},\n`).join('')}): void {`;
  const { loops, bodyOf } = printKernels([kernel]);
  return [`${head}\n${bodyOf(kernel)}\n}`, ...loops].join('\n\n');
}

/** Prints a schedule: stage by stage what is reduced, in one read of what, and what follows. */
import { topological } from '../graph/expr.ts';
import { formula, inputName, tensorName } from '../graph/print.ts';
import type { ProgramOutput } from './program.ts';
import type { Accumulation, Group, Stage } from './stages.ts';

export function printStages(stages: readonly Stage[]): string {
  return stages.map((stage, i) => `stage ${i + 1}: ${printStage(stage)}`).join('\n');
}

function printStage(stage: Stage): string {
  if (stage.kind === 'map')
    return ['map', ...stage.outputs.map((output) => `  ${printOutput(output)}`)].join('\n');
  const lines = stage.groups.flatMap(printGroup);
  const riders = stage.riders.map((output) => `  in the same loop: ${printOutput(output)}`);
  return [
    `reduce over [${stage.space.join(', ')}], reading ${dataOf(stage).join(', ')}`,
    ...lines,
    ...riders,
  ].join('\n');
}

const printGroup = ({ over, kept, accumulations, epilogue }: Group): string[] => [
  `  over ${over.join(', ')}, keeping [${kept.join(', ')}]:`,
  ...accumulations.map((accumulation) => `    ${printAccumulation(accumulation)}`),
  ...epilogue.map((output) => `    then ${printOutput(output)}`),
];

const printAccumulation = ({ monoid, x }: Accumulation): string =>
  monoid === 'moments' ? `mean and var of ${formula(x)}` : `${monoid} of ${formula(x)}`;

const printOutput = ({ role, of, axes, expr }: ProgramOutput): string =>
  `${role} ${tensorName(role, of)}:[${axes.join(', ')}] = ${formula(expr)}`;

/** The inputs that span the whole space of a stage. */
function dataOf(stage: Extract<Stage, { kind: 'reduce' }>): string[] {
  const operands = stage.groups.flatMap(({ accumulations }) => accumulations.map(({ x }) => x));
  return topological([...operands, ...stage.riders.map(({ expr }) => expr)]).flatMap((node) =>
    node.op === 'input' && node.axes.length === stage.space.length ? [inputName(node)] : [],
  );
}

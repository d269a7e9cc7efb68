/** When a state may be overwritten: after everything that reads its old value, on every target. */
import { type Expr, topological } from '../graph/expr.ts';
import type { ProgramOutput } from './program.ts';
import type { Group, ReduceStage } from './stages.ts';

/** State must not be overwritten while another output still has to read its old value. */
export const isReadElsewhere = (output: ProgramOutput, pending: readonly ProgramOutput[]): boolean =>
  pending.some((other) => other !== output && overwrites(output, other.expr));

/**
 * Whether a rider overwrites what another group still has to read. Groups of one stage may each be a read of the data of
 * their own, and riders belong to one of them; a group that is alone reads each element before its riders store it.
 */
export const isReadBeside = (
  output: ProgramOutput,
  { groups }: ReduceStage,
  stages: readonly ReduceStage[],
): boolean => {
  const beside = stages
    .flatMap((stage) => stage.groups)
    .filter((one) => groups.length > 1 || one !== groups[0]);
  return beside.flatMap(expressionsIn).some((expr) => overwrites(output, expr));
};

const expressionsIn = ({ accumulations, epilogue }: Group): Expr[] => [
  ...accumulations.map(({ x }) => x),
  ...epilogue.map(({ expr }) => expr),
];

const overwrites = ({ role, of }: ProgramOutput, expr: Expr): boolean =>
  role === 'state' &&
  topological([expr]).some((node) => node.op === 'input' && node.role === 'input' && node.of === of);

/**
 * States that read each other, in the order in which their spaces can be stored one after the other. With all reductions
 * done, an update reads another state at its own element, so it has all the axes of that state: if it has more, it goes
 * first, and if not, both are one space, where all is read before anything is stored.
 */
export const inTurn = (states: readonly ProgramOutput[]): ProgramOutput[] =>
  [...states].sort((a, b) => b.axes.length - a.axes.length);

/** What follows from a group's results, apart from the kernel that reduces: for outputs that are too many to bind there. */
import { type Expr, isReduction } from '../../graph/expr.ts';
import { cut } from '../../graph/rebuild.ts';
import type { ProgramOutput } from '../../schedule/program.ts';
import { type Group, handleOf, type MapStage, type ReduceStage } from '../../schedule/stages.ts';
import type { MapUnit, ReduceUnit, Unit } from './units.ts';

/** The unit as several, or itself: its results are handed over, and its outputs computed from them. */
export function apart(unit: Unit, used: ReadonlySet<string>): readonly Unit[] {
  if (unit.kind === 'map') return [unit];
  const { stage, group, map } = unit;
  const outputs = group.epilogue.filter(({ role }) => role !== 'scratch');
  if (outputs.length < 2) return [unit];
  const results = new Map<Expr, ProgramOutput>();
  const exprs = cut(
    outputs.map(({ expr }) => expr),
    (expr) => {
      if (!isReduction(expr)) return undefined;
      const known = results.get(expr) ?? resultOf(expr, results.size, used);
      results.set(expr, known);
      return handleOf(known);
    },
  );
  const scratch = group.epilogue.filter(({ role }) => role === 'scratch');
  const own: Group = { ...group, epilogue: [...scratch, ...results.values()] };
  const reduce: ReduceStage = { ...stage, groups: [own] };
  const finish: MapStage = {
    kind: 'map',
    outputs: outputs.map((output, i) => ({ ...output, expr: exprs[i]! })),
  };
  const asUnit = (one: MapStage): MapUnit => ({ kind: 'map', of: one, stage: one });
  const reduced: ReduceUnit = { kind: 'reduce', of: unit.of, stage: reduce, group: own };
  return [reduced, asUnit(finish), ...(map ? [asUnit(map)] : [])];
}

function resultOf(expr: Expr, count: number, used: ReadonlySet<string>): ProgramOutput {
  let k = count + 1;
  while (used.has(`result_${k}`)) k += used.size;
  return { role: 'scratch', of: `result_${k}`, axes: [...expr.axes], expr };
}

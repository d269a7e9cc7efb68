/** What follows from a group's results, apart from the kernel that reduces: for outputs that are too many to bind there. */
import { type Expr, isReduction } from '../../graph/expr.ts';
import { handleOf } from '../../graph/handles.ts';
import { cut } from '../../graph/rebuild.ts';
import type { ProgramOutput } from '../../schedule/program.ts';
import type { Group, MapStage, ReduceStage } from '../../schedule/stages.ts';
import type { MapUnit, ReduceUnit, Unit } from './units.ts';

/** The unit as several, or itself: its results are handed over, and its outputs computed from them. */
export function apart(unit: Unit, used: ReadonlySet<string>): readonly Unit[] {
  if (unit.kind === 'map') return [unit];
  const { stage, group, map } = unit;
  const outputs = group.epilogue.filter(({ role }) => role !== 'scratch');
  if (outputs.length < 2) return [unit];
  const results = new Map<Expr, ProgramOutput>();
  const taken = new Set(used);
  const exprs = cut(
    outputs.map(({ expr }) => expr),
    (expr) => {
      if (!isReduction(expr)) return undefined;
      const known = results.get(expr) ?? resultOf(expr, taken);
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

/** Under a name that is not taken, and is then. */
function resultOf(expr: Expr, taken: Set<string>): ProgramOutput {
  let k = 1;
  while (taken.has(`result_${k}`)) k++;
  const of = `result_${k}`;
  taken.add(of);
  return { role: 'scratch', of, axes: [...expr.axes], expr };
}

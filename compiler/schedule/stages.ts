/**
 * Cuts a program into stages. A reduction can start only when what it reads is known, so reductions of one depth and
 * one iteration space share one read of the data; what is as small as a reduction's result is its epilogue; the rest
 * is computed element by element, riding along with a reduction over the same space where there is one.
 */

import { invariant } from '../diagnostics.ts';
import {
  type Axes,
  axesOf,
  difference,
  intersection,
  isStrictSubset,
  isSubset,
  sameAxes,
} from '../graph/axes.ts';
import { count, div, reduce, sum } from '../graph/build.ts';
import { type Expr, isReduction, topological } from '../graph/expr.ts';
import { handleOf, isHandle } from '../graph/handles.ts';
import { formula } from '../graph/print.ts';
import { cut, transform } from '../graph/rebuild.ts';
import { inTurn, isReadBeside, isReadElsewhere } from './overwrite.ts';
import type { Program, ProgramOutput } from './program.ts';

/** `moments` yields the mean and the biased variance together. */
export type Monoid = 'sum' | 'moments' | 'amax' | 'amin' | 'prod';

/** One accumulation: a monoid over one operand. Sum, mean and variance of the same operand are one. */
export interface Accumulation {
  readonly monoid: Monoid;
  readonly x: Expr;
  readonly over: Axes;
}

/** Accumulations of one stage over the same axes, and what follows from them at once. */
export interface Group {
  readonly over: Axes;
  readonly kept: Axes;
  readonly accumulations: readonly Accumulation[];
  readonly epilogue: readonly ProgramOutput[];
}

export interface ReduceStage {
  readonly kind: 'reduce';
  readonly space: Axes;
  readonly groups: readonly Group[];
  /** Outputs over the whole space that are computed in the same read. */
  readonly riders: readonly ProgramOutput[];
}

/** Outputs computed element by element, each over its own axes. */
export interface MapStage {
  readonly kind: 'map';
  readonly outputs: readonly ProgramOutput[];
}

export type Stage = ReduceStage | MapStage;

/** A reduction node that can start now: its operand holds no other. */
type Ready = Extract<Expr, { over: Axes }>;

/**
 * The stages in the order they run. Each output of the program is in one of them, and so is the scratch that goes from
 * stage to stage; maps come last.
 */
export function stagesOf(program: Program): Stage[] {
  const stages: Stage[] = [];
  const scratch = scratchNames(program);
  let pending: readonly ProgramOutput[] = program.outputs;
  while (pending.some(({ expr }) => expr.depth > 0)) {
    pending = shareCommonSums(pending);
    const ready = readyReductions(pending);
    const groups = groupsOf(ready);
    const epilogues = new Map<GroupKey, ProgramOutput[]>([...groups.keys()].map((key) => [key, []]));
    const later: ProgramOutput[] = [];
    for (const output of pending) {
      const group = groupFor(output.expr, groups);
      const free = group && sameAxes(axesOf(output.axes), group.kept) && !isReadElsewhere(output, pending);
      if (free) epilogues.get(group.key)!.push(output);
      else later.push(output);
    }
    pending = hoist(later, groups, epilogues, scratch);
    const reducing = bySpace(groups, epilogues);
    for (const stage of reducing) {
      const { space } = stage;
      const riders = pending.filter(
        (output) =>
          output.expr.depth === 0 &&
          later.some((o) => o.expr === output.expr) &&
          sameAxes(axesOf(output.axes), space) &&
          !isReadElsewhere(output, pending) &&
          !isReadBeside(output, stage, reducing) &&
          !isReadLater(output, space, pending),
      );
      pending = pending.filter((output) => !riders.includes(output));
      stages.push({ ...stage, riders });
    }
  }
  const early = pending.filter((output) => !isReadElsewhere(output, pending));
  const late = pending.filter((output) => !early.includes(output));
  for (const outputs of [early, inTurn(late)]) if (outputs.length > 0) stages.push({ kind: 'map', outputs });
  return readBack(stages);
}

/**
 * Marks the outputs from which later stages compute what they look for ties in, or for zeros among factors; or
 * differences, of which something is saved: it goes with the differences that other directions compute from what is stored.
 */
function readBack(stages: readonly Stage[]): Stage[] {
  const definitions = new Map<Expr, Expr>();
  const operands: Expr[] = [];
  for (const { groups } of stages.filter((stage) => stage.kind === 'reduce')) {
    for (const { accumulations, epilogue } of groups) {
      for (const output of epilogue) definitions.set(handleOf(output), output.expr);
      const isSaved = epilogue.some(({ role }) => role === 'saved');
      for (const { monoid, x } of accumulations)
        if (['amax', 'amin', 'prod'].includes(monoid) ? isComputed(x) : isSaved && hasDifference(x))
          operands.push(x);
    }
  }
  const behind = new Set<Expr>();
  const visit = (exprs: readonly Expr[]): void => {
    for (const node of topological(exprs)) {
      const definition = definitions.get(node);
      if (!definition || behind.has(node)) continue;
      behind.add(node);
      visit([definition]);
    }
  };
  visit(operands);
  if (behind.size === 0) return [...stages];
  const mark = (output: ProgramOutput): ProgramOutput =>
    output.role !== 'scratch' && behind.has(handleOf(output)) ? { ...output, isReadBack: true } : output;
  return stages.map((stage) => {
    if (stage.kind === 'map') return stage;
    const groups = stage.groups.map((group) => ({ ...group, epilogue: group.epilogue.map(mark) }));
    return { ...stage, groups };
  });
}

/** Whether something of the data is taken less what an earlier stage found out. */
const hasDifference = (e: Expr): boolean =>
  topological([e]).some((node) => node.op === 'add' && node.atom && topological([node]).some(isHandle));

/** Whether all the data an output reads will be read again by a later stage anyway, which can then compute it. */
function isReadLater({ expr }: ProgramOutput, space: Axes, pending: readonly ProgramOutput[]): boolean {
  const dataOf = (e: Expr): Expr[] =>
    topological([e]).filter((n) => n.op === 'input' && sameAxes(n.axes, space));
  const later = pending.filter((other) => other.expr.depth > 0 || other.expr !== expr);
  const own = dataOf(expr);
  return later.some((other) => {
    const isLater = topological([other.expr]).some(isHandle);
    if (!isLater || !sameAxes(axesOf(other.axes), space)) return false;
    const read = dataOf(other.expr);
    return own.every((node) => read.includes(node));
  });
}

type GroupKey = string;

interface ReadyGroup {
  readonly key: GroupKey;
  readonly space: Axes;
  readonly over: Axes;
  readonly kept: Axes;
  readonly reductions: Ready[];
}

/** What the first two moments of an operand give. */
const fromMoments: ReadonlySet<string> = new Set(['sum', 'mean', 'var']);

const keyOf = (r: Ready): GroupKey => `${r.x.axes.join(' ')} over ${r.over.join(' ')}`;

function readyReductions(outputs: readonly ProgramOutput[]): Ready[] {
  const nodes = topological(outputs.map(({ expr }) => expr));
  return nodes.filter(isReduction).filter((node) => node.x.depth === 0);
}

function groupsOf(ready: readonly Ready[]): Map<GroupKey, ReadyGroup> {
  const groups = new Map<GroupKey, ReadyGroup>();
  for (const r of ready) {
    const key = keyOf(r);
    const group = groups.get(key) ?? { key, space: r.x.axes, over: r.over, kept: r.axes, reductions: [] };
    group.reductions.push(r);
    groups.set(key, group);
  }
  return groups;
}

/** The one group all of an expression's reductions belong to, if they can all start now. */
function groupFor(expr: Expr, groups: ReadonlyMap<GroupKey, ReadyGroup>): ReadyGroup | undefined {
  if (expr.depth !== 1) return undefined;
  const keys = new Set(topological([expr]).filter(isReduction).map(keyOf));
  return keys.size === 1 ? groups.get([...keys][0]!) : undefined;
}

/** The groups by the space they reduce, without riders yet. */
function bySpace(
  ready: ReadonlyMap<GroupKey, ReadyGroup>,
  epilogues: ReadonlyMap<GroupKey, readonly ProgramOutput[]>,
): ReduceStage[] {
  const spaces = new Map<string, { space: Axes; groups: Group[] }>();
  for (const [key, { space, over, kept, reductions }] of ready) {
    const entry = spaces.get(space.join(' ')) ?? { space, groups: [] };
    entry.groups.push({
      over,
      kept,
      accumulations: accumulationsOf(reductions),
      epilogue: epilogues.get(key)!,
    });
    spaces.set(space.join(' '), entry);
  }
  return [...spaces.values()].map((stage) => ({ kind: 'reduce', ...stage, riders: [] }));
}

/** Replaces what later stages need of this one by scratch that this one's epilogues write, or by an output they write. */
function hoist(
  later: readonly ProgramOutput[],
  groups: ReadonlyMap<GroupKey, ReadyGroup>,
  epilogues: ReadonlyMap<GroupKey, ProgramOutput[]>,
  scratch: (expr: Expr) => string,
): ProgramOutput[] {
  const written = new Map<Expr, Expr>();
  for (const outputs of epilogues.values()) {
    for (const output of outputs) {
      const isWhole = sameAxes(output.expr.axes, axesOf(output.axes));
      const isReusable = output.role !== 'state' && isWhole && !mustBeExact(output.expr);
      if (isReusable) written.set(output.expr, handleOf(output));
    }
  }
  const choose = (e: Expr, asFactor: boolean): Expr | undefined => {
    const known = written.get(e);
    if (known) return known;
    if (e.op === 'mul' && !asFactor) return undefined;
    const group = groupFor(e, groups);
    if (!group || !sameAxes(e.axes, group.kept) || e.type === 'bool') return undefined;
    const name = scratch(e);
    const output: ProgramOutput = { role: 'scratch', of: name, axes: [...e.axes], expr: e };
    epilogues.get(group.key)!.push(output);
    const node = handleOf(output);
    written.set(e, node);
    return node;
  };
  const exprs = cut(
    later.map(({ expr }) => expr),
    choose,
  );
  return later.map((output, i) => ({ ...output, expr: exprs[i]! }));
}

/**
 * Ties are found by comparing with an extremum exactly. An output may be stored in fewer digits than are computed
 * with; scratch is not.
 */
export const mustBeExact = (e: Expr): boolean => (e.op === 'amax' || e.op === 'amin') && isComputed(e.x);

/** Whether ties among these values are ties among results of arithmetic. */
export const isComputed = (x: Expr): boolean => x.op !== 'input' || isHandle(x);

/** Names for intermediate values, by what they are: `sum_1`, `mean_2`, `value_3`. */
function scratchNames(program: Program): (expr: Expr) => string {
  const taken = new Set(program.outputs.map(({ of }) => of));
  return (expr) => {
    const base = isReduction(expr) ? expr.op : 'value';
    let k = 1;
    while (taken.has(`${base}_${k}`)) k++;
    taken.add(`${base}_${k}`);
    return `${base}_${k}`;
  };
}

/** In an order that depends on what is accumulated alone, so that equal work is equal code whatever it is for. */
function accumulationsOf(reductions: readonly Ready[]): Accumulation[] {
  const byOperand = new Map<string, Accumulation>();
  for (const { op, x, over } of reductions) {
    const monoid: Monoid = op === 'var' ? 'moments' : op === 'mean' ? 'sum' : op;
    const key = `${fromMoments.has(op) ? 'moments' : monoid} ${x.id}`;
    if (byOperand.get(key)?.monoid !== 'moments') byOperand.set(key, { monoid, x, over });
  }
  return [...byOperand.values()]
    .map((accumulation) => ({ accumulation, text: formula(accumulation.x) }))
    .sort((a, b) => a.text.length - b.text.length || (a.text < b.text ? -1 : 1))
    .map(({ accumulation }) => accumulation);
}

/**
 * Where sums of one space over different axes share some of those axes, the shared part is summed first, so that the
 * data is read once and the rest is small: Σₖₛ w·e and Σₙₛ e both need Σₛ e.
 */
function shareCommonSums(pending: readonly ProgramOutput[]): ProgramOutput[] {
  const ready = readyReductions(pending);
  const common = new Map<string, Axes>();
  const mixed = new Set<string>();
  for (const r of ready) {
    const space = r.x.axes.join(' ');
    const known = common.get(space);
    if (known && !sameAxes(known, r.over)) mixed.add(space);
    common.set(space, known ? intersection(known, r.over) : r.over);
    if (r.op !== 'sum' && r.op !== 'mean') common.set(space, []);
  }
  const split = (e: Expr): Expr => {
    if (!isReduction(e) || e.x.depth > 0 || (e.op !== 'sum' && e.op !== 'mean')) return e;
    // the same operand summed over fewer axes anyway: only the others are left
    const part = ready.find((r) => r.x === e.x && isStrictSubset(r.over, e.over) && fromMoments.has(r.op));
    if (part) return reduce(e.op, reduce(e.op, e.x, part.over), difference(e.over, part.over));
    const space = e.x.axes.join(' ');
    const shared = common.get(space) ?? [];
    const rest = difference(e.over, shared);
    if (!mixed.has(space) || shared.length === 0 || rest.length === 0) return e;
    const inner = sum(e.x, shared);
    invariant(isSubset(rest, inner.axes), 'a shared sum lost an axis');
    const total = reduce('sum', inner, rest);
    return e.op === 'sum' ? total : div(total, count(e.over));
  };
  const exprs = transform(
    pending.map(({ expr }) => expr),
    split,
  );
  return pending.map((output, i) => ({ ...output, expr: exprs[i]! }));
}

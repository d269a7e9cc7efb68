/** Loops that count elements instead of positions along axes, where all that is visited lies at one distance. */
import { codesOf, eachStatement, mapOperands, operandsOf } from '../kernel/collect.ts';
import { binary, type Code, name, type Statement } from '../kernel/kernel.ts';
import { mapCodes } from '../kernel/rewrite.ts';

type Lanes = Extract<Statement, { do: 'lanes' }>;
type For = Extract<Statement, { do: 'for' }>;

/** `x[base + i]` for i from 0 to n as `x[i]` for i from base; and the same for rows inside, `x[row * width + i]`. */
export function stepAlong(lanes: Lanes): Lanes {
  const body = lanes.body.map((s) => (s.do === 'for' ? stepByRow(s, lanes.name) : s));
  return shift({ ...lanes, body });
}

function shift(lanes: Lanes): Lanes {
  const { name: id, from, below, body } = lanes;
  const base = onlyBase(body, id);
  if (!base) return lanes;
  const move = (code: Code): Code => binary('+', name(base, 'index'), code);
  return { ...lanes, from: move(from), below: move(below), body: body.map(replacing(base, id, id)) };
}

/** for row { base = row * width; … base + lane … } steps by the width. */
function stepByRow(loop: For, lane: string): For {
  const [first, ...rest] = loop.body;
  if (first?.do !== 'let' || first.value.code !== 'binary' || first.value.operator !== '*') return loop;
  const { a: row, b: width } = first.value;
  if (row.code !== 'name' || row.name !== loop.name || countUses(rest, loop.name) > 0) return loop;
  if (onlyBase(rest, lane) !== first.name || countUses(rest, first.name) !== countUses(rest, lane))
    return loop;
  return {
    ...loop,
    from: binary('+', binary('*', loop.from, width), name(lane, 'index')),
    below: binary('*', loop.below, width),
    step: width,
    body: rest.map(replacing(first.name, lane, loop.name)),
  };
}

const isSum = (code: Code, lane: string): string | undefined =>
  code.code === 'binary' &&
  code.operator === '+' &&
  code.a.code === 'name' &&
  code.b.code === 'name' &&
  code.b.name === lane
    ? code.a.name
    : undefined;

/** The name that is added to a position wherever that is used. */
function onlyBase(body: readonly Statement[], lane: string): string | undefined {
  const bases = new Set<string | undefined>();
  const visit = (code: Code): void => {
    const base = isSum(code, lane);
    if (base !== undefined) bases.add(base);
    else if (code.code === 'name' && code.name === lane) bases.add(undefined);
    else operandsOf(code).forEach(visit);
  };
  const declared = new Set<string>();
  eachStatement(body, (s) => {
    codesOf(s).forEach(visit);
    if ('name' in s) declared.add(s.name);
  });
  const [base, ...others] = bases;
  return others.length === 0 && base !== undefined && !declared.has(base) ? base : undefined;
}

function countUses(body: readonly Statement[], id: string): number {
  let count = 0;
  const visit = (code: Code): void => {
    if (code.code === 'name' && code.name === id) count++;
    operandsOf(code).forEach(visit);
  };
  eachStatement(body, (s) => codesOf(s).forEach(visit));
  return count;
}

function replacing(base: string, lane: string, by: string): (statement: Statement) => Statement {
  const change = (code: Code): Code =>
    isSum(code, lane) === base ? name(by, 'index') : mapOperands(code, change);
  const inside = (s: Statement): Statement => {
    const changed = mapCodes(s, change);
    return 'body' in changed ? { ...changed, body: changed.body.map(inside) } : changed;
  };
  return inside;
}

/** Loops that take several elements side by side, as plain loops: the body once for each of them, then what is left. */
import { codesOf, eachStatement, mapOperands, operandsOf } from '../kernel/collect.ts';
import {
  binary,
  type Code,
  call,
  index,
  type LaneMerge,
  name,
  real,
  type Statement,
} from '../kernel/kernel.ts';
import { mapCodes } from '../kernel/rewrite.ts';
import { stepAlong } from './step.ts';

type Lanes = Extract<Statement, { do: 'lanes' }>;

/** The same statements without `lanes`, `accumulator` and `fold`. What is outlined is left for later. */
export function unroll(
  statements: readonly Statement[],
  several: ReadonlySet<string> = new Set(),
): Statement[] {
  const known = new Set(several);
  return statements.flatMap((statement): Statement[] => {
    if (statement.do === 'accumulator') {
      if (statement.copies > 1) known.add(statement.name);
      return [variables(statement, statement.copies)];
    }
    if (statement.do === 'lanes') return unrollLanes(stepAlong(statement), known);
    if (statement.do === 'for' || statement.do === 'if')
      return [{ ...statement, body: unroll(statement.body, known) }];
    if (statement.do === 'outlined') return [statement];
    return [mapCodes(statement, (code) => unfold(code))];
  });
}

const variables = (
  { name: id, identity }: Extract<Statement, { do: 'accumulator' }>,
  copies: number,
): Statement => {
  const [first, ...more] = copiesOf(copies).map((k) => copyName(id, k));
  return { do: 'var', name: first!, value: real(identity), ...(more.length > 0 && { copies: more }) };
};

const copiesOf = (copies: number): number[] => Array.from({ length: copies }, (_, k) => k);

/** `$` keeps copies apart from all other names. */
const copyName = (id: string, k: number): string => (k === 0 ? id : `${id}$${k}`);

/** Bodies of many statements gain less from being repeated, and would be long. */
function mostCopies(body: readonly Statement[]): number {
  let count = 0;
  eachStatement(body, () => count++);
  if (isRow(body)) return count > 12 ? 1 : count > 6 ? 2 : 4;
  return count > 24 ? 1 : count > 12 ? 2 : count > 4 ? 4 : 8;
}

function unrollLanes(lanes: Lanes, several: ReadonlySet<string>): Statement[] {
  const { axes, name: id, from, below, body } = lanes;
  const copies = Math.min(lanes.copies, mostCopies(body));
  if (copies === 1) {
    // folds of what the body declares count on the copies it was made for
    const inner =
      lanes.copies === 1 ? unroll(body, several) : sideBySide(body, id, { copies: 1, first: 0 }, several);
    return [{ do: 'for', axes, name: id, from, below, step: index(1), body: inner }];
  }
  const at = name(id, 'index');
  // along a row at the last of them, so that one comparison serves the loop and the bounds of arrays
  const ahead = isRow(body) ? copies - 1 : 0;
  const loop = (side: number, first: number, end: Code): Statement => ({
    do: 'for',
    axes,
    name: id,
    from: at,
    below: end,
    step: index(side),
    body: sideBySide(body, id, { copies: side, first }, several),
    continues: true,
  });
  return [
    { do: 'var', name: id, value: binary('+', from, index(ahead)) },
    loop(copies, -ahead, binary('-', below, index(copies - 1 - ahead))),
    ...(ahead > 0 ? [{ do: 'assign', name: id, value: binary('-', at, index(ahead)) } as const] : []),
    loop(1, 0, below),
  ];
}

const isRow = (body: readonly Statement[]): boolean => !body.some((s) => s.do === 'for');

/** Statements for several neighbouring elements: what differs between them once for each, all else once. */
function sideBySide(
  body: readonly Statement[],
  lane: string,
  /** The first of them is so far from where `lane` is. */
  { copies, first }: { readonly copies: number; readonly first: number },
  several: ReadonlySet<string>,
): Statement[] {
  /** Positions, which for the next element are one more. */
  const along = new Set([lane]);
  const varies = new Set(several);
  const isVarying = (code: Code): boolean => {
    if (code.code === 'fold') return false;
    return (
      (code.code === 'name' && (varies.has(code.name) || along.has(code.name))) ||
      operandsOf(code).some(isVarying)
    );
  };
  const copyCode = (code: Code, k: number): Code => {
    if (code.code === 'fold') return unfold(code, copies);
    if (code.code !== 'name') return mapOperands(code, (operand) => copyCode(operand, k));
    if (along.has(code.name)) return shifted(code, first + k);
    return varies.has(code.name) ? { ...code, name: copyName(code.name, k) } : code;
  };
  const copyOf = (statement: Statement, k: number): Statement => {
    const copy = mapCodes(statement, (code) => copyCode(code, k));
    return 'name' in copy && varies.has(copy.name) ? { ...copy, name: copyName(copy.name, k) } : copy;
  };
  const visit = (statement: Statement): Statement[] => {
    if (statement.do === 'accumulator') {
      varies.add(statement.name);
      return [variables(statement, copies)];
    }
    if (statement.do === 'for') {
      const isAlong = isVarying(statement.from);
      if (isAlong) along.add(statement.name);
      return [{ ...statement, body: statement.body.flatMap(visit) }];
    }
    const isCopied =
      codesOf(statement).some(isVarying) || (statement.do === 'assign' && varies.has(statement.name));
    if (!isCopied) return [copyOf(statement, 0)];
    if (statement.do === 'let') varies.add(statement.name);
    if (isAddition(statement) && !varies.has(statement.name)) {
      const { a, b } = statement.value;
      const added = copiesOf(copies).map((k) => copyCode(b, k));
      return [
        {
          ...statement,
          value: binary(
            '+',
            a,
            added.reduce((sum, x) => binary('+', sum, x)),
          ),
        },
      ];
    }
    return copiesOf(copies).map((k) => copyOf(statement, k));
  };
  return body.flatMap(visit);
}

type Addition = Extract<Statement, { do: 'assign' }> & { readonly value: Extract<Code, { code: 'binary' }> };

/** Whether something is added to a variable; of several elements all together is, since each addition waits for the last. */
const isAddition = (s: Statement): s is Addition =>
  s.do === 'assign' &&
  s.value.code === 'binary' &&
  s.value.operator === '+' &&
  s.value.a.code === 'name' &&
  s.value.a.name === s.name;

const shifted = (position: Code, by: number): Code =>
  by < 0 ? binary('-', position, index(-by)) : binary('+', position, index(by));

const merges: { readonly [K in LaneMerge]: (a: Code, b: Code) => Code } = {
  '+': (a, b) => binary('+', a, b),
  '*': (a, b) => binary('*', a, b),
  max: (a, b) => call('max', a, b),
  min: (a, b) => call('min', a, b),
};

/** The copies of a name together, in pairs. */
function unfold(code: Code, copies?: number): Code {
  if (code.code !== 'fold') return mapOperands(code, (operand) => unfold(operand, copies));
  const { merge } = code;
  let parts = copiesOf(copies ?? code.copies).map((k) => name(copyName(code.name, k), 'real'));
  while (parts.length > 1) {
    parts = parts.flatMap((part, i) =>
      i % 2 === 1 ? [] : [parts[i + 1] ? merges[merge](part, parts[i + 1]!) : part],
    );
  }
  return parts[0]!;
}

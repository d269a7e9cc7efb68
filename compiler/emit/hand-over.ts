/** What loops hand over in an array of a few elements, by name where the loops are in place. */
import { eachStatement, mapOperands } from '../kernel/collect.ts';
import type { Code, Statement } from '../kernel/kernel.ts';
import { mapCodes } from '../kernel/rewrite.ts';

/** The same statements without such arrays; what is `passed` to functions keeps its name. */
export function handOverByName(
  statements: readonly Statement[],
  passed: ReadonlySet<string>,
): readonly Statement[] {
  const arrays = new Set<string>();
  eachStatement(statements, (s) => {
    if (s.do === 'array' && s.length.code === 'number' && !passed.has(s.name)) arrays.add(s.name);
  });
  // each that turns out to be needed is left as it is
  while (arrays.size > 0) {
    const needed = new Set<string>();
    const named = withNames(statements, { arrays, passed, needed, same: new Map() }, new Map());
    if (needed.size === 0) return named;
    for (const array of needed) arrays.delete(array);
  }
  return statements;
}

interface Names {
  readonly arrays: ReadonlySet<string>;
  readonly passed: ReadonlySet<string>;
  /** Arrays that have to stay. */
  readonly needed: Set<string>;
  /** Names that stand for others. */
  readonly same: Map<string, Code>;
}

/** `held` is what elements hold, by array and place. */
function withNames(list: readonly Statement[], names: Names, held: Map<string, Code>): Statement[] {
  const { arrays, passed, needed, same } = names;
  const replace = (code: Code): Code => {
    if (code.code === 'name') return same.get(code.name) ?? code;
    const inner = mapOperands(code, replace);
    if (inner.code !== 'load' || !arrays.has(inner.array)) return inner;
    const value = held.get(placeOf(inner));
    if (!value || inner.index.code !== 'number') needed.add(inner.array);
    return value ?? inner;
  };
  return list.flatMap((statement): Statement[] => {
    if (statement.do === 'outlined') return [statement];
    const s = mapCodes(statement, replace);
    if (s.do === 'array' && arrays.has(s.name)) return [];
    if (s.do === 'store' && arrays.has(s.array)) {
      if (s.value.code !== 'name' || s.index.code !== 'number') needed.add(s.array);
      held.set(placeOf(s), s.value);
      return [];
    }
    if (s.do === 'let' && s.value.code === 'name' && !passed.has(s.name)) {
      same.set(s.name, s.value);
      return [];
    }
    if (!('body' in s)) return [s];
    // what is stored inside is known inside alone
    for (const array of storedIn(s))
      for (const place of held.keys()) if (place.startsWith(`${array} `)) held.delete(place);
    return [{ ...s, body: withNames(s.body, names, new Map(held)) }];
  });
}

const placeOf = ({ array, index }: { readonly array: string; readonly index: Code }): string =>
  `${array} ${index.code === 'number' && index.value}`;

function storedIn(s: Statement): Set<string> {
  const arrays = new Set<string>();
  eachStatement([s], (inner) => inner.do === 'store' && arrays.add(inner.array));
  return arrays;
}

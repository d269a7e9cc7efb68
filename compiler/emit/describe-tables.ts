/** Tables of an op's description, so that what its kernels have in common is said once. */
import { lines } from './literals.ts';

/** Each gives a reference to what it is given: `f[3]!` is a number, and `b(0, 3)` are bindings. */
export interface Tables {
  readonly bindings: (texts: readonly string[]) => string;
  readonly number: (text: string) => string;
  readonly phase: (text: string) => string;
  readonly tiles: (text: string) => string;
  readonly uniforms: (text: string) => string;
  readonly declarations: () => string[];
}

export function createTables(): Tables {
  const types = {
    f: '(n: Numbers) => number',
    p: 'WasmPhaseDescription',
    t: 'TilesDescription',
    u: 'readonly UniformDescription[]',
  };
  const tables = { f: new Map<string, string>(), p: new Map(), t: new Map(), u: new Map() };
  const refer =
    (table: keyof typeof tables) =>
    (text: string): string => {
      const known = tables[table].get(text) ?? `${table}[${tables[table].size}]!`;
      tables[table].set(text, known);
      return known;
    };
  const declare = (table: keyof typeof tables): string =>
    `const ${table}: readonly (${types[table]})[] = [${lines([...tables[table].keys()])}];`;
  const bindings = new Map<string, number>();
  const place = (text: string): number => {
    const known = bindings.get(text) ?? bindings.size;
    bindings.set(text, known);
    return known;
  };
  const declareBindings =
    (): string => `const bindings: readonly BindingDescription[] = [${lines([...bindings.keys()])}];
const b = (...places: readonly number[]) => places.map((i) => bindings[i]!);`;
  return {
    bindings: (texts) => `b(${texts.map(place).join(', ')})`,
    number: refer('f'),
    phase: refer('p'),
    tiles: refer('t'),
    uniforms: refer('u'),
    // functions first, which the others refer to
    declarations: () =>
      (['f', 'b', 'p', 't', 'u'] as const).flatMap((table) => {
        if (table === 'b') return bindings.size > 0 ? [declareBindings()] : [];
        return tables[table].size > 0 ? [declare(table)] : [];
      }),
  };
}

/** Tables of an op's description, so that what its kernels have in common is said once. */
import { lines } from './literals.ts';

/** How a table is referred to, as by `u[3]!`, or bindings by `b(0, 3)`; and the places in it. */
export interface Reference {
  readonly text: string;
  readonly places: readonly number[];
}

/** A constant of a description, and the type of the runtime that it is declared with. */
export interface Declaration {
  readonly text: string;
  readonly type: string;
}

/** Each gives a reference to what it is given. */
export interface Tables {
  readonly bindings: (texts: readonly string[]) => Reference;
  readonly number: (text: string) => string;
  readonly phase: (text: string) => string;
  readonly tiles: (text: string) => Reference;
  readonly uniforms: (text: string) => Reference;
  /** Of the tables that have something in them; each refers to those before it alone. */
  readonly declarations: () => Declaration[];
}

export function createTables(): Tables {
  const functions = createTable('f', 'Numbers', '((n: Numbers) => number)');
  const bindings = createTable('bindings', 'BindingDescription');
  const phases = createTable('p', 'WasmPhaseDescription');
  const tiles = createTable('t', 'TilesDescription');
  const uniforms = createTable('u', 'UniformDescription', '(readonly UniformDescription[])');
  const several = 'const b = (...places: readonly number[]) => places.map((i) => bindings[i]!);';
  return {
    bindings: (texts) => {
      const places = texts.map(bindings.placeOf);
      return { text: `b(${places.join(', ')})`, places };
    },
    number: (text) => functions.refer(text).text,
    phase: (text) => phases.refer(text).text,
    tiles: tiles.refer,
    uniforms: uniforms.refer,
    declarations: () => [
      ...functions.declarations(),
      ...bindings.declarations().map(({ text, type }) => ({ text: `${text}\n${several}`, type })),
      ...[phases, tiles, uniforms].flatMap((table) => table.declarations()),
    ],
  };
}

export interface Table {
  readonly placeOf: (text: string) => number;
  readonly refer: (text: string) => Reference;
  readonly declarations: () => Declaration[];
}

/** An array called `id` of texts, each once; `element` is what it has, which mentions `type`. */
export function createTable(id: string, type: string, element = type): Table {
  const places = new Map<string, number>();
  const placeOf = (text: string): number => {
    const known = places.get(text) ?? places.size;
    places.set(text, known);
    return known;
  };
  return {
    placeOf,
    refer: (text) => {
      const place = placeOf(text);
      return { text: `${id}[${place}]!`, places: [place] };
    },
    declarations: () =>
      places.size === 0
        ? []
        : [{ text: `const ${id}: readonly ${element}[] = [${lines([...places.keys()])}];`, type }],
  };
}

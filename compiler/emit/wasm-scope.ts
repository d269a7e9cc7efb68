/** What names mean while a function's body is emitted: locals, of which copies and rows abreast have their own. */
import { invariant } from '../diagnostics.ts';
import type { Code, CodeType } from '../kernel/kernel.ts';
import type { Binaryen, Module, Ref } from './wasm-module.ts';

interface Local {
  readonly index: number;
  readonly type: CodeType;
}

/** A local of an index. */
export interface IndexLocal {
  readonly get: () => Ref;
  readonly set: (value: Ref) => Ref;
  readonly tee: (value: Ref) => Ref;
}

/** A loop over lanes that is being expanded. */
export interface Lanes {
  /** The loop's variable in the Kernel, and the local that counts it in bytes. */
  readonly name: string;
  readonly bytes: IndexLocal;
  /** Addresses that the loop does not change, by array and index. */
  readonly pointers: ReadonlyMap<string, IndexLocal>;
  /** Bytes from each of the rows abreast to the next, by index, where they are as far apart as the first two. */
  readonly distances: ReadonlyMap<string, IndexLocal>;
  /** The copies that a statement is repeated for. */
  readonly copies: number;
  /** In the last turns where there is no room past the end. */
  readonly rest?: {
    /** The mask of the lanes that count. */
    readonly mask: number;
    /** The local that holds the bytes left, where no more may be stored. */
    readonly left?: IndexLocal;
    /** What is accumulated into. */
    readonly outside: ReadonlySet<string>;
  };
}

/** Rows that are being visited abreast. */
export interface Rows {
  readonly abreast: number;
  /** What each of them has for itself: its place, and what is known of it before loops over lanes. */
  readonly own: ReadonlySet<string>;
  /** Which of an index are at even distances in them. */
  readonly isEven: (index: Code) => boolean;
  /** Whether they are in parts of their own, and hold a vector at least. */
  readonly isApart: boolean;
  /** Whether one vector of each is taken at a time. */
  readonly isNarrow: boolean;
}

export interface Scope {
  /** The loop over lanes that statements are in. */
  lanes: Lanes | undefined;
  /** Which copy of a vector names mean. */
  copy: number;
  rows: Rows | undefined;
  /** Which of the rows abreast names mean. */
  row: number;
  /** The number of a local that has no name. */
  readonly newLocal: (type: CodeType) => number;
  readonly newIndex: () => IndexLocal;
  readonly indexLocal: (local: number) => IndexLocal;
  /** The number of the local of a name. */
  readonly declare: (name: string, type: CodeType) => number;
  readonly find: (name: string) => Local | undefined;
  /** The names that have a local. */
  readonly names: () => string[];
  /** What a copy of a name is known by. */
  readonly copied: (name: string, k: number) => string;
  /** What a name that each of the rows abreast has for itself is known by. */
  readonly ofRow: (name: string) => string;
  /** The value of a name. */
  readonly get: (name: string) => Ref;
  /** The types of the locals, to be asked for last. */
  readonly types: () => number[];
}

/** Locals are numbered after the parameters. */
export function createScope(binaryen: Binaryen, m: Module, parameters: number): Scope {
  const types: number[] = [];
  const locals = new Map<string, Local>();
  const typeOf: { readonly [K in CodeType]: number } = {
    index: binaryen.i32,
    real: binaryen.f64,
    bool: binaryen.i32,
    vector: binaryen.v128,
    mask: binaryen.v128,
    record: binaryen.none,
  };
  const newLocal = (type: CodeType): number => parameters + types.push(typeOf[type]) - 1;
  const indexLocal = (local: number): IndexLocal => ({
    get: () => m.local.get(local, binaryen.i32),
    set: (value) => m.local.set(local, value),
    tee: (value) => m.local.tee(local, value, binaryen.i32),
  });
  const copied = (name: string, k: number): string => (k === 0 ? name : `${name} ${k}`);
  const scope: Scope = {
    lanes: undefined,
    copy: 0,
    rows: undefined,
    row: 0,
    newLocal,
    newIndex: () => indexLocal(newLocal('index')),
    indexLocal,
    declare: (name, type) => {
      const known = locals.get(name);
      if (known) return known.index;
      const index = newLocal(type);
      locals.set(name, { index, type });
      return index;
    },
    find: (name) => locals.get(name),
    names: () => [...locals.keys()],
    copied,
    ofRow: (name) => (scope.row > 0 && scope.rows?.own.has(name) ? `${name} of ${scope.row}` : name),
    get: (name) => {
      const id = scope.ofRow(name);
      const local = locals.get(copied(id, scope.copy)) ?? locals.get(id);
      invariant(local, `nothing is called ${name}`);
      return m.local.get(local.index, typeOf[local.type]);
    },
    types: () => types,
  };
  return scope;
}

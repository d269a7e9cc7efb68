/** Functions of vectors in WebAssembly, written as expressions over values that are computed once. */
import type { Binaryen, Module, Once, Ref } from './wasm-module.ts';

/** A value in a local; every call is another reading of it. */
export type Value = () => Ref;

/** The body of a function that is being written. */
export interface Scope {
  /** Computes a value once. */
  readonly keep: (value: Ref) => Value;
  /** Returns early. */
  readonly returnIf: (test: Ref, value: Ref) => void;
}

type Body = (scope: Scope, ...parameters: Value[]) => Ref;

/** Calls a function of vectors that is added when it is first called, under a name. */
export type Define = (name: string, body: Body) => (...args: Ref[]) => Ref;

export function createDefine({ v128, createType }: Binaryen, m: Module, once: Once): Define {
  return (name, body) =>
    (...args) => {
      const types = args.map(() => v128);
      const value =
        (local: number): Value =>
        () =>
          m.local.get(local, v128);
      const add = (): void => {
        const statements: Ref[] = [];
        const locals: number[] = [];
        const keep = (kept: Ref): Value => {
          const local = types.length + locals.push(v128) - 1;
          statements.push(m.local.set(local, kept));
          return value(local);
        };
        const returnIf = (test: Ref, early: Ref): void => {
          statements.push(m.if(test, m.return(early)));
        };
        const result = body({ keep, returnIf }, ...types.map((_, k) => value(k)));
        m.addFunction(name, createType(types), v128, locals, m.block(null, [...statements, result], v128));
      };
      return m.call(once(name, add), args, v128);
    };
}

/** The functions that WebAssembly code calls, of reals and of vectors; each is added to a module when it is first called. */
import type { Call } from '../graph/expr.ts';
import type { Binaryen, Module, Once, Ref } from './wasm-module.ts';
import { createReals } from './wasm-reals.ts';
import { createVectors } from './wasm-vectors.ts';

/** Adds functions to a module when they are first called. */
export interface Functions {
  readonly real: (fn: Call, args: readonly Ref[]) => Ref;
  readonly vector: (fn: Call, args: readonly Ref[]) => Ref;
  /** Stores as many lanes of a vector as there are bytes left. */
  readonly storePart: (address: Ref, value: Ref, left: Ref) => Ref;
}

export function createFunctions(binaryen: Binaryen, m: Module): Functions {
  const { v128, i32, createType, none } = binaryen;
  const added = new Set<string>();
  const once: Once = (name, add) => {
    if (!added.has(name)) {
      added.add(name);
      add();
    }
    return name;
  };
  const reals = createReals(binaryen, m, once);
  const vectors = createVectors(binaryen, m, once, byLane);

  /** Applies the function of reals to each lane. */
  function byLane(fn: Call, args: readonly Ref[]): Ref {
    const id = once(`${fn}_lanes`, () => {
      const lane = (k: number): Ref =>
        m.f32.demote(
          reals[fn](args.map((_, i) => m.f64.promote(m.f32x4.extract_lane(m.local.get(i, v128), k)))),
        );
      const all = [1, 2, 3].reduce(
        (vector: Ref, k) => m.f32x4.replace_lane(vector, k, lane(k)),
        m.f32x4.splat(lane(0)),
      );
      m.addFunction(`${fn}_lanes`, createType(args.map(() => v128)), v128, [], all);
    });
    return m.call(id, [...args], v128);
  }

  function addStorePart(): void {
    const address = (): Ref => m.local.get(0, i32);
    const value = (): Ref => m.local.get(1, v128);
    const left = (): Ref => m.local.get(2, i32);
    const has = (bytes: number): Ref => m.i32.and(left(), m.i32.const(bytes));
    const two = m.block(null, [
      m.v128.store64_lane(0, 4, 0, address(), value()),
      m.if(has(4), m.v128.store32_lane(8, 4, 2, address(), value())),
    ]);
    const few = m.if(has(8), two, m.v128.store32_lane(0, 4, 0, address(), value()));
    const body = m.if(m.i32.ge_s(left(), m.i32.const(16)), m.v128.store(0, 4, address(), value()), few);
    m.addFunction('store_part', createType([i32, v128, i32]), none, [], body);
  }

  return {
    real: (fn, args) => reals[fn](args),
    vector: (fn, args) => vectors[fn](args),
    storePart: (address, value, left) =>
      m.call(once('store_part', addStorePart), [address, value, left], none),
  };
}

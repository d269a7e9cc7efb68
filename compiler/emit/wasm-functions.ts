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
  /** The address of the elements that the thread has to itself. */
  readonly own: () => Ref;
  /** How many rows of so many elements to walk as one, if one should have about so many. */
  readonly joined: (rows: Ref, width: Ref, wanted: number) => Ref;
  /** Where some bytes lie so many times in a row: at `into`, or where they are if that is once. */
  readonly repeat: (into: Ref, from: Ref, bytes: Ref, times: Ref) => Ref;
}

/** Rows shorter than this are joined to fill turns. */
const shortRow = 64;

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

  /**
   * How many rows make up some elements and whole turns of a loop, of 16 elements; fewer where there are few rows, since
   * what is joined has to be merged or repeated.
   */
  function addJoined(): void {
    const rows = (): Ref => m.local.get(0, i32);
    const width = (): Ref => m.local.get(1, i32);
    const wanted = (): Ref => m.local.get(2, i32);
    const int = (value: number): Ref => m.i32.const(value);
    const isShort = (): Ref => m.i32.lt_u(width(), int(shortRow));
    const least = (a: () => Ref, b: () => Ref): Ref => m.select(m.i32.lt_u(a(), b()), a(), b());
    const factor = least(
      () => m.i32.ctz(width()),
      () => m.select(isShort(), int(4), int(0)),
    );
    const turn = (): Ref => m.local.get(3, i32);
    const up = m.i32.add(m.i32.div_u(m.i32.sub(wanted(), int(1)), m.i32.mul(turn(), width())), int(1));
    const body = [
      m.if(
        m.i32.or(m.i32.eqz(width()), m.i32.and(m.i32.ge_u(width(), wanted()), m.i32.eqz(isShort()))),
        m.return(int(1)),
      ),
      m.local.set(3, m.select(isShort(), m.i32.shr_u(int(16), factor), int(1))),
      m.local.set(2, m.i32.mul(turn(), up)),
      m.local.set(0, m.i32.and(m.i32.shr_u(rows(), int(3)), int(-4))),
      m.local.set(0, least(rows, wanted)),
      m.select(rows(), rows(), int(1)),
    ];
    m.addFunction('joined', createType([i32, i32, i32]), i32, [i32], m.block(null, body, i32));
  }

  function addRepeat(): void {
    const into = (): Ref => m.local.get(0, i32);
    const from = (): Ref => m.local.get(1, i32);
    const bytes = (): Ref => m.local.get(2, i32);
    const times = (): Ref => m.local.get(3, i32);
    const at = (): Ref => m.local.get(4, i32);
    const int = (value: number): Ref => m.i32.const(value);
    const before = m.select(m.i32.lt_u(at(), bytes()), from(), m.i32.sub(into(), bytes()));
    const turn = [
      m.i32.store(0, 4, m.i32.add(into(), at()), m.i32.load(0, 4, m.i32.add(before, at()))),
      m.local.set(4, m.i32.add(at(), int(4))),
      m.br_if('each', m.i32.lt_u(at(), m.i32.mul(bytes(), times()))),
    ];
    const body = [
      m.if(m.i32.lt_u(times(), int(2)), m.return(from())),
      m.loop('each', m.block(null, turn)),
      into(),
    ];
    m.addFunction('repeat', createType([i32, i32, i32, i32]), i32, [i32], m.block(null, body, i32));
  }

  return {
    real: (fn, args) => reals[fn](args),
    vector: (fn, args) => vectors[fn](args),
    storePart: (address, value, left) =>
      m.call(once('store_part', addStorePart), [address, value, left], none),
    own: () =>
      m.global.get(
        once('own', () => m.addGlobalImport('own', 'env', 'own', i32, false)),
        i32,
      ),
    joined: (rows, width, wanted) =>
      m.call(once('joined', addJoined), [rows, width, m.i32.const(wanted)], i32),
    repeat: (into, from, bytes, times) => m.call(once('repeat', addRepeat), [into, from, bytes, times], i32),
  };
}

/** Elementwise functions in WebAssembly: of a real through JavaScript's Math, of a vector by polynomials or lane by lane. */
import type { Call } from '../graph/expr.ts';
import type { Binaryen, Module, Ref } from './wasm-module.ts';

/** Functions of one real that are imported from JavaScript's Math. */
const imported = ['exp', 'log', 'log1p', 'expm1', 'tanh', 'sin', 'cos'] as const;
type Imported = (typeof imported)[number] | 'pow';

/** Adds functions to a module when they are first called. */
export interface Functions {
  readonly real: (fn: Call, args: readonly Ref[]) => Ref;
  readonly vector: (fn: Call, args: readonly Ref[]) => Ref;
  /** Stores as many lanes of a vector as there are bytes left. */
  readonly storePart: (address: Ref, value: Ref, left: Ref) => Ref;
}

export function createFunctions(binaryen: Binaryen, m: Module): Functions {
  const { f64, v128, i32, createType, none } = binaryen;
  const added = new Set<string>();
  const once = (name: string, add: () => void): string => {
    if (!added.has(name)) {
      added.add(name);
      add();
    }
    return name;
  };

  function imports(fn: Imported): string {
    const params = createType(fn === 'pow' ? [f64, f64] : [f64]);
    return once(fn, () => m.addFunctionImport(fn, 'math', fn, params, f64));
  }
  const math = (fn: Imported, ...args: Ref[]): Ref => m.call(imports(fn), args, f64);
  const own = (name: string, x: Ref, body: (x: () => Ref) => Ref): Ref =>
    m.call(
      once(name, () =>
        m.addFunction(
          name,
          createType([f64]),
          f64,
          [],
          body(() => m.local.get(0, f64)),
        ),
      ),
      [x],
      f64,
    );
  const number = (value: number): Ref => m.f64.const(value);

  /** 1 / (1 + e^-x), without overflow. */
  const sigmoid = (x: () => Ref): Ref => {
    const t = (): Ref => math('exp', m.f64.neg(m.f64.abs(x())));
    const above = m.select(m.f64.lt(x(), number(0)), t(), number(1));
    return m.f64.div(above, m.f64.add(number(1), t()));
  };
  /** log(1 + e^x), without overflow. */
  const softplus = (x: () => Ref): Ref =>
    m.f64.add(m.f64.max(x(), number(0)), math('log1p', math('exp', m.f64.neg(m.f64.abs(x())))));
  const sign = (x: () => Ref): Ref =>
    m.select(m.f64.gt(x(), number(0)), number(1), m.select(m.f64.lt(x(), number(0)), number(-1), x()));

  const reals: { readonly [K in Call]: (args: readonly Ref[]) => Ref } = {
    exp: ([x]) => math('exp', x!),
    log: ([x]) => math('log', x!),
    log1p: ([x]) => math('log1p', x!),
    expm1: ([x]) => math('expm1', x!),
    tanh: ([x]) => math('tanh', x!),
    sin: ([x]) => math('sin', x!),
    cos: ([x]) => math('cos', x!),
    pow: ([x, y]) => math('pow', x!, y!),
    sigmoid: ([x]) => own('sigmoid', x!, sigmoid),
    softplus: ([x]) => own('softplus', x!, softplus),
    sign: ([x]) => own('sign', x!, sign),
    erf: ([x]) => m.call(once('erf', addErf), [x!], f64),
    abs: ([x]) => m.f64.abs(x!),
    floor: ([x]) => m.f64.floor(x!),
    relu: ([x]) => m.f64.max(x!, number(0)),
    min: ([a, b]) => m.f64.min(a!, b!),
    max: ([a, b]) => m.f64.max(a!, b!),
    clamp: ([x, low, high]) => m.f64.min(m.f64.max(x!, low!), high!),
  };

  /** The error function: a series of positive terms, and far out the continued fraction of erfc (DLMF 7.6.2, 7.9.2). */
  function addErf(): void {
    const [x, z, term, total, k] = [0, 1, 2, 3, 4] as const;
    const get = (local: number): Ref => m.local.get(local, f64);
    const { add, sub, mul, div, abs, le, lt, gt, neg, copysign } = m.f64;
    const scale = (): Ref => mul(math('exp', neg(mul(get(z), get(z)))), number(1 / Math.sqrt(Math.PI)));
    const series = m.block('series', [
      m.local.set(term, mul(number(2), get(x))),
      m.local.set(total, get(term)),
      m.local.set(k, number(1)),
      m.loop(
        'next',
        m.if(
          gt(abs(get(term)), mul(number(1e-17), abs(get(total)))),
          m.block(null, [
            m.local.set(
              term,
              mul(
                get(term),
                div(mul(number(2), mul(get(x), get(x))), add(mul(number(2), get(k)), number(1))),
              ),
            ),
            m.local.set(total, add(get(total), get(term))),
            m.local.set(k, add(get(k), number(1))),
            m.br('next'),
          ]),
        ),
      ),
      m.return(mul(scale(), get(total))),
    ]);
    const fraction = m.block('fraction', [
      m.local.set(total, get(z)),
      m.local.set(k, number(60)),
      m.loop(
        'down',
        m.if(
          gt(get(k), number(0)),
          m.block(null, [
            m.local.set(total, add(get(z), div(div(get(k), number(2)), get(total)))),
            m.local.set(k, sub(get(k), number(1))),
            m.br('down'),
          ]),
        ),
      ),
      m.return(copysign(sub(number(1), div(scale(), get(total))), get(x))),
    ]);
    const body = m.block(null, [
      m.local.set(z, abs(get(x))),
      m.if(
        m.i32.eqz(le(get(z), number(6))),
        m.return(m.select(gt(get(z), number(6)), copysign(number(1), get(x)), get(x))),
      ),
      m.if(lt(get(z), number(3)), series),
      fraction,
      m.unreachable(),
    ]);
    m.addFunction('erf', createType([f64]), f64, [f64, f64, f64, f64], body);
  }

  const splat = (value: number): Ref => m.f32x4.splat(m.f32.const(value));
  const lanes = [0, 1, 2, 3] as const;

  /** Applies the function of reals to each lane. */
  function byLane(fn: Call, args: readonly Ref[]): Ref {
    const id = once(`${fn}_lanes`, () => {
      const lane = (k: number): Ref =>
        m.f32.demote(
          reals[fn](args.map((_, i) => m.f64.promote(m.f32x4.extract_lane(m.local.get(i, v128), k)))),
        );
      const all = lanes
        .slice(1)
        .reduce((vector: Ref, k) => m.f32x4.replace_lane(vector, k, lane(k)), m.f32x4.splat(lane(0)));
      m.addFunction(`${fn}_lanes`, createType(args.map(() => v128)), v128, [], all);
    });
    return m.call(id, [...args], v128);
  }

  /** e^x in f32: 2^n · e^r with |r| ≤ ln 2 / 2, the polynomial after Cephes' expf. */
  function addExp(): void {
    const [x, n, r] = [0, 1, 2] as const;
    const get = (local: number): Ref => m.local.get(local, v128);
    const { add, sub, mul, min, max, nearest } = m.f32x4;
    const polynomial = [1.9875691e-4, 1.3981999e-3, 8.333452e-3, 4.1665796e-2, 0.16666666, 0.5];
    const power = polynomial
      .slice(1)
      .reduce((value, c) => add(mul(value, get(r)), splat(c)), splat(polynomial[0]!));
    const power2 = (e: Ref): Ref =>
      m.i32x4.shl(m.i32x4.add(e, m.i32x4.splat(m.i32.const(127))), m.i32.const(23));
    // in two steps, since 2^n alone is not always finite and normal where e^x is a number
    const half = (): Ref => m.i32x4.shr_s(m.i32x4.trunc_sat_f32x4_s(get(n)), m.i32.const(1));
    const rest = m.i32x4.sub(m.i32x4.trunc_sat_f32x4_s(get(n)), half());
    const body = m.block(
      null,
      [
        m.local.set(x, min(max(get(x), splat(-104)), splat(89))),
        m.local.set(n, nearest(mul(get(x), splat(Math.LOG2E)))),
        m.local.set(r, sub(sub(get(x), mul(get(n), splat(0.693359375))), mul(get(n), splat(-2.1219444e-4)))),
        m.local.set(r, add(add(mul(power, mul(get(r), get(r))), get(r)), splat(1))),
        mul(mul(get(r), power2(half())), power2(rest)),
      ],
      v128,
    );
    m.addFunction('exp_vector', createType([v128]), v128, [v128, v128], body);
  }
  const exp = (x: Ref): Ref => m.call(once('exp_vector', addExp), [x], v128);
  /** A function of a vector, with one local beside it. */
  const vectorOf = (id: string, x: Ref, body: (x: () => Ref) => Ref): Ref =>
    m.call(
      once(id, () =>
        m.addFunction(
          id,
          createType([v128]),
          v128,
          [v128],
          body(() => m.local.get(0, v128)),
        ),
      ),
      [x],
      v128,
    );
  const { f32x4 } = m;
  const vectors: { readonly [K in Call]?: (args: readonly Ref[]) => Ref } = {
    abs: ([x]) => f32x4.abs(x!),
    floor: ([x]) => f32x4.floor(x!),
    relu: ([x]) => f32x4.max(x!, splat(0)),
    min: ([a, b]) => f32x4.min(a!, b!),
    max: ([a, b]) => f32x4.max(a!, b!),
    clamp: ([x, low, high]) => f32x4.min(f32x4.max(x!, low!), high!),
    exp: ([x]) => exp(x!),
    sigmoid: ([x]) =>
      vectorOf('sigmoid_vector', x!, (value) => {
        const t = (): Ref => m.local.get(1, v128);
        const above = m.v128.bitselect(t(), splat(1), f32x4.lt(value(), splat(0)));
        return m.block(
          null,
          [m.local.set(1, exp(f32x4.neg(f32x4.abs(value())))), f32x4.div(above, f32x4.add(splat(1), t()))],
          v128,
        );
      }),
    sign: ([x]) =>
      vectorOf('sign_vector', x!, (value) => {
        const negative = m.v128.bitselect(splat(-1), value(), f32x4.lt(value(), splat(0)));
        return m.v128.bitselect(splat(1), negative, f32x4.gt(value(), splat(0)));
      }),
  };

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
    vector: (fn, args) => vectors[fn]?.(args) ?? byLane(fn, args),
    storePart: (address, value, left) =>
      m.call(once('store_part', addStorePart), [address, value, left], none),
  };
}

/** Elementwise functions of one real in WebAssembly, in f64: through JavaScript's Math, or written out. */
import type { Call } from '../graph/expr.ts';
import type { Binaryen, Module, Once, Ref } from './wasm-module.ts';

/** Functions of one real that are imported from JavaScript's Math. */
type Imported = 'exp' | 'log' | 'log1p' | 'expm1' | 'tanh' | 'sin' | 'cos' | 'pow';

export type Reals = { readonly [K in Call]: (args: readonly Ref[]) => Ref };

export function createReals(binaryen: Binaryen, m: Module, once: Once): Reals {
  const { f64, createType } = binaryen;
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

  return reals;
}

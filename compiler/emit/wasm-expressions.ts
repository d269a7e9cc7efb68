/** Expressions of a routine as WebAssembly, one row a construct. */
import { invariant } from '../diagnostics.ts';
import type { Binding, Code, LaneMerge, Operator } from '../kernel/kernel.ts';
import { createAddresses, mentions, vectorBytes } from './wasm-addresses.ts';
import type { Functions } from './wasm-functions.ts';
import type { Binaryen, Module, Ref } from './wasm-module.ts';
import type { Scope } from './wasm-scope.ts';

const realOperators: { readonly [K in Exclude<Operator, '%'>]: 'add' | 'sub' | 'mul' | 'div' } = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div',
};
const indexOperators: { readonly [K in Operator]: 'add' | 'sub' | 'mul' | 'div_u' | 'rem_u' } = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div_u',
  '%': 'rem_u',
};
const comparisons = { '<': 'lt', '<=': 'le', '>': 'gt', '>=': 'ge', '==': 'eq', '!=': 'ne' } as const;
const indexComparisons = {
  '<': 'lt_u',
  '<=': 'le_u',
  '>': 'gt_u',
  '>=': 'ge_u',
  '==': 'eq',
  '!=': 'ne',
} as const;

export type Expressions = ReturnType<typeof createExpressions>;

/** Expressions where names mean what they mean in a scope. */
export function createExpressions(
  binaryen: Binaryen,
  m: Module,
  functions: Functions,
  bindings: ReadonlyMap<string, Binding>,
  scope: Scope,
) {
  const { newLocal, copied, find, get } = scope;
  const int = (value: number): Ref => m.i32.const(value);
  const addresses = createAddresses(m, bindings, scope, emit);
  const { bytesOf, addressOf, laneAddress } = addresses;

  /** A value as a vector or mask, whatever it is. */
  function wide(code: Code): Ref {
    if (code.type === 'vector' || code.type === 'mask') return emit(code);
    if (code.type === 'bool') return m.i32x4.splat(m.i32.sub(int(0), emit(code)));
    if (code.code === 'number') return m.f32x4.splat(m.f32.const(code.value));
    if (code.code === 'load' && bytesOf(code.array) === 4)
      return m.v128.load32_splat(0, 4, addressOf(code.array, code.index));
    return m.f32x4.splat(m.f32.demote(emit(code)));
  }

  function emit(code: Code): Ref {
    switch (code.code) {
      case 'number':
        return code.type === 'index' ? int(code.value) : m.f64.const(code.value);
      case 'truth':
        return int(Number(code.value));
      case 'name':
        return get(code.name);
      case 'load':
        return loadOf(code);
      case 'binary':
        return binaryOf(code);
      case 'negate':
        return code.type === 'vector' ? m.f32x4.neg(wide(code.x)) : m.f64.neg(emit(code.x));
      case 'sqrt':
        return code.type === 'vector' ? m.f32x4.sqrt(wide(code.x)) : m.f64.sqrt(emit(code.x));
      case 'rsqrt':
        return code.type === 'vector'
          ? m.f32x4.div(m.f32x4.splat(m.f32.const(1)), m.f32x4.sqrt(wide(code.x)))
          : m.f64.div(m.f64.const(1), m.f64.sqrt(emit(code.x)));
      case 'real':
        return m.f64.convert_u.i32(emit(code.x));
      case 'splat':
        return wide(code.x);
      case 'first':
        return m.f64.promote(m.f32x4.extract_lane(emit(code.x), 0));
      case 'fold':
        return foldOf(code.merge, code.name, code.copies);
      case 'make':
        invariant(false, `${code.name} in WebAssembly`);
        break;
      case 'call':
        return code.type === 'vector'
          ? functions.vector(code.fn, code.args.map(wide))
          : functions.real(code.fn, code.args.map(emit));
      case 'least':
        return m.select(m.i32.lt_u(emit(code.a), emit(code.b)), emit(code.a), emit(code.b));
      case 'greatest':
        return m.select(m.i32.gt_u(emit(code.a), emit(code.b)), emit(code.a), emit(code.b));
      case 'own':
        return functions.own();
      case 'joined':
        return functions.joined(emit(code.a), emit(code.b), code.wanted);
      case 'compare':
        if (code.type === 'mask') return m.f32x4[comparisons[code.operator]](wide(code.a), wide(code.b));
        return code.a.type === 'index'
          ? m.i32[indexComparisons[code.operator]](emit(code.a), emit(code.b))
          : m.f64[comparisons[code.operator]](emit(code.a), emit(code.b));
      case 'logic':
        return code.type === 'mask'
          ? m.v128[code.operator](wide(code.a), wide(code.b))
          : m.i32[code.operator](emit(code.a), emit(code.b));
      case 'not':
        return code.type === 'mask' ? m.v128.not(wide(code.x)) : m.i32.eqz(emit(code.x));
      case 'select': {
        const isWide = code.type === 'vector' || code.type === 'mask';
        const as = isWide ? wide : emit;
        if (code.test.type === 'mask') return m.v128.bitselect(as(code.then), as(code.else), emit(code.test));
        return m.select(emit(code.test), as(code.then), as(code.else));
      }
    }
  }

  /** Shifts where a power of two takes part: fewer bytes, and no division. */
  function indexOf({ operator, a, b }: Extract<Code, { code: 'binary' }>): Ref {
    const shift = b.code === 'number' ? Math.log2(b.value) : Number.NaN;
    if (Number.isInteger(shift)) {
      if (operator === '*') return m.i32.shl(emit(a), int(shift));
      if (operator === '/') return m.i32.shr_u(emit(a), int(shift));
      if (operator === '%') return m.i32.and(emit(a), int(2 ** shift - 1));
    }
    return m.i32[indexOperators[operator]](emit(a), emit(b));
  }

  function binaryOf(code: Extract<Code, { code: 'binary' }>): Ref {
    if (code.type === 'index') return indexOf(code);
    invariant(code.operator !== '%', 'a remainder of reals');
    const operator = realOperators[code.operator];
    return code.type === 'vector'
      ? m.f32x4[operator](wide(code.a), wide(code.b))
      : m.f64[operator](emit(code.a), emit(code.b));
  }

  /** All lanes of all copies as one real: copies are merged as vectors, lanes as reals. */
  function foldOf(merge: LaneMerge, name: string, copies: number): Ref {
    const operator = { '+': 'add', '*': 'mul', max: 'max', min: 'min' } as const;
    const combine = operator[merge];
    const vectors = Array.from({ length: copies }, (_, k) =>
      m.local.get(find(copied(name, k))!.index, binaryen.v128),
    );
    const vector = newLocal('vector');
    const lane = (k: number): Ref =>
      m.f64.promote(m.f32x4.extract_lane(m.local.get(vector, binaryen.v128), k));
    const first = m.f32x4.extract_lane(
      m.local.tee(vector, pairwise(vectors, m.f32x4[combine]), binaryen.v128),
      0,
    );
    return pairwise([m.f64.promote(first), lane(1), lane(2), lane(3)], m.f64[combine]);
  }

  function loadOf(code: Extract<Code, { code: 'load' }>): Ref {
    const { array, index, type } = code;
    if (type === 'vector') {
      const { lanes, copy } = scope;
      const isInLoop = lanes !== undefined && mentions(index, lanes.name);
      const address = isInLoop ? laneAddress(array, index) : addressOf(array, index);
      return m.v128.load(isInLoop ? copy * vectorBytes : 0, 4, address);
    }
    const address = addressOf(array, index);
    return bytesOf(array) === 8 ? m.f64.load(0, 8, address) : m.f64.promote(m.f32.load(0, 4, address));
  }

  return { emit, wide, ...addresses };
}

/** Neighbours are combined first, so that no operation waits for many others. */
function pairwise(refs: readonly Ref[], combine: (a: Ref, b: Ref) => Ref): Ref {
  if (refs.length === 1) return refs[0]!;
  const half = Math.ceil(refs.length / 2);
  return combine(pairwise(refs.slice(0, half), combine), pairwise(refs.slice(half), combine));
}

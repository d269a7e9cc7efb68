/** Statements and expressions of a routine as WebAssembly; one row a construct, and the expansion of loops over lanes. */
import { invariant } from '../diagnostics.ts';
import { eachCode, eachStatement } from '../kernel/collect.ts';
import {
  type Binding,
  binary,
  type Code,
  type CodeType,
  index,
  type LaneMerge,
  type Operator,
  type Statement,
  times,
} from '../kernel/kernel.ts';
import type { Functions } from './wasm-functions.ts';
import type { Binaryen, Module, Ref } from './wasm-module.ts';

/** Bytes of a vector. */
const vectorBytes = 16;

interface Local {
  readonly index: number;
  readonly type: CodeType;
}

/** A local of an index. */
interface IndexLocal {
  readonly get: () => Ref;
  readonly set: (value: Ref) => Ref;
  readonly tee: (value: Ref) => Ref;
}

type StatementOf<D extends Statement['do']> = Extract<Statement, { do: D }>;

/** A loop over lanes that is being expanded. */
interface Lanes {
  /** The loop's variable in the Kernel, and the local that counts it in bytes. */
  readonly name: string;
  readonly bytes: IndexLocal;
  /** Addresses that the loop does not change, by array and index. */
  readonly pointers: ReadonlyMap<string, IndexLocal>;
  /** The copies that a statement is repeated for. */
  readonly copies: number;
  /** In the last, partial turns where there is no room: the mask of the lanes that count, and the local that holds the bytes left. */
  readonly rest?: { readonly mask: number; readonly left: IndexLocal; readonly outside: ReadonlySet<string> };
}

/** Rows that are being visited abreast. */
interface Rows {
  readonly abreast: number;
  /** What each of them has for itself: its place, and what is known of it before loops over lanes. */
  readonly own: ReadonlySet<string>;
  /** Whether it is one of those that are left. */
  readonly isLeft: boolean;
}

/** The code of one function's body. Locals are numbered after the parameters. */
export function createCoder(
  binaryen: Binaryen,
  m: Module,
  functions: Functions,
  bindings: ReadonlyMap<string, Binding>,
  parameters: number,
) {
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
  let labels = 0;
  let lanes: Lanes | undefined;
  /** Which copy of a vector names mean. */
  let copy = 0;
  let rows: Rows | undefined;
  /** Which of the rows abreast names mean. */
  let row = 0;

  const newLocal = (type: CodeType): number => parameters + types.push(typeOf[type]) - 1;
  const indexLocal = (local: number): IndexLocal => ({
    get: () => m.local.get(local, binaryen.i32),
    set: (value) => m.local.set(local, value),
    tee: (value) => m.local.tee(local, value, binaryen.i32),
  });
  const newIndex = (): IndexLocal => indexLocal(newLocal('index'));
  function declare(name: string, type: CodeType): number {
    const known = locals.get(name);
    if (known) return known.index;
    const index = newLocal(type);
    locals.set(name, { index, type });
    return index;
  }
  const copied = (name: string, k: number): string => (k === 0 ? name : `${name} ${k}`);
  /** What a name that each of the rows abreast has for itself is known by. */
  const ofRow = (name: string): string => (row > 0 && rows?.own.has(name) ? `${name} of ${row}` : name);
  function get(name: string): Ref {
    const local = locals.get(copied(ofRow(name), copy)) ?? locals.get(ofRow(name));
    invariant(local, `nothing is called ${name}`);
    return m.local.get(local.index, typeOf[local.type]);
  }
  const int = (value: number): Ref => m.i32.const(value);

  const reals: { readonly [K in Exclude<Operator, '%'>]: 'add' | 'sub' | 'mul' | 'div' } = {
    '+': 'add',
    '-': 'sub',
    '*': 'mul',
    '/': 'div',
  };
  const indices: { readonly [K in Operator]: 'add' | 'sub' | 'mul' | 'div_u' | 'rem_u' } = {
    '+': 'add',
    '-': 'sub',
    '*': 'mul',
    '/': 'div_u',
    '%': 'rem_u',
  };
  const comparisons = { '<': 'lt', '<=': 'le', '>': 'gt', '>=': 'ge', '==': 'eq', '!=': 'ne' } as const;
  const unsigned = {
    '<': 'lt_u',
    '<=': 'le_u',
    '>': 'gt_u',
    '>=': 'ge_u',
    '==': 'eq',
    '!=': 'ne',
  } as const;

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
          ? m.i32[unsigned[code.operator]](emit(code.a), emit(code.b))
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
    return m.i32[indices[operator]](emit(a), emit(b));
  }

  function binaryOf(code: Extract<Code, { code: 'binary' }>): Ref {
    if (code.type === 'index') return indexOf(code);
    invariant(code.operator !== '%', 'a remainder of reals');
    const operator = reals[code.operator];
    return code.type === 'vector'
      ? m.f32x4[operator](wide(code.a), wide(code.b))
      : m.f64[operator](emit(code.a), emit(code.b));
  }

  /** All lanes of all copies as one real: copies are merged as vectors, lanes as reals. */
  function foldOf(merge: LaneMerge, name: string, copies: number): Ref {
    const operator = { '+': 'add', '*': 'mul', max: 'max', min: 'min' } as const;
    const combine = operator[merge];
    const vectors = Array.from({ length: copies }, (_, k) =>
      m.local.get(locals.get(copied(name, k))!.index, binaryen.v128),
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

  const bytesOf = (array: string): number => (bindings.get(array)?.dtype === 'f64' ? 8 : 4);
  const shiftOf = (array: string): number => (bytesOf(array) === 8 ? 3 : 2);
  const addressOf = (array: string, index: Code): Ref => m.i32.add(get(array), bytesAt(array, index));
  const bytesAt = (array: string, index: Code): Ref =>
    index.code === 'number'
      ? int(index.value << shiftOf(array))
      : m.i32.shl(emit(index), int(shiftOf(array)));

  /** The address of a vector in a loop over lanes, without the copy's offset. */
  function laneAddress(array: string, index: Code): Ref {
    invariant(lanes, 'a vector outside of a loop over lanes');
    const rest = withoutLane(index, lanes.name);
    const pointer = lanes.pointers.get(placeOf(array, rest));
    const base = pointer === undefined ? baseOf(array, rest) : pointer.get();
    return m.i32.add(base, lanes.bytes.get());
  }
  const baseOf = (array: string, rest: Code | undefined): Ref => (rest ? addressOf(array, rest) : get(array));

  function loadOf(code: Extract<Code, { code: 'load' }>): Ref {
    const { array, index, type } = code;
    if (type === 'vector') {
      const isInLoop = lanes !== undefined && mentions(index, lanes.name);
      const address = isInLoop ? laneAddress(array, index) : addressOf(array, index);
      return m.v128.load(isInLoop ? copy * vectorBytes : 0, 4, address);
    }
    const address = addressOf(array, index);
    return bytesOf(array) === 8 ? m.f64.load(0, 8, address) : m.f64.promote(m.f32.load(0, 4, address));
  }

  function storeOf({ array, index, value }: StatementOf<'store'>): Ref {
    if (lanes && mentions(index, lanes.name)) {
      const address = laneAddress(array, index);
      if (!lanes.rest) return m.v128.store(copy * vectorBytes, 4, address, wide(value));
      return functions.storePart(address, wide(value), lanes.rest.left.get());
    }
    const address = addressOf(array, index);
    return bytesOf(array) === 8
      ? m.f64.store(0, 8, address, emit(value))
      : m.f32.store(0, 4, address, m.f32.demote(emit(value)));
  }

  function repeatOf({ array, at, width, times, into, place }: StatementOf<'repeat'>): Ref {
    const bytes = m.i32.shl(emit(width), int(shiftOf(array)));
    return functions.repeat(addressOf(into, place), addressOf(array, at), bytes, emit(times));
  }

  /** Whether a statement computes a vector, and so is repeated for each copy. */
  function isCopied(s: Statement): boolean {
    switch (s.do) {
      case 'let':
      case 'var':
        return s.value.type === 'vector' || s.value.type === 'mask';
      case 'assign':
        return locals.get(s.name)?.type === 'vector';
      case 'store':
        return lanes !== undefined && mentions(s.index, lanes.name);
      default:
        return false;
    }
  }

  /** Statements in a row are emitted for one copy after the other, so that few registers are in use at a time. */
  function sequence(body: readonly Statement[]): Ref[] {
    const refs: Ref[] = [];
    for (let i = 0; i < body.length; ) {
      let end = i;
      while (end < body.length && isCopied(body[end]!)) {
        declareIn(body[end]!);
        end++;
      }
      const row = body.slice(i, end);
      for (copy = 0; copy < (lanes?.copies ?? 1); copy++) refs.push(...row.flatMap(statement));
      copy = 0;
      if (end < body.length) refs.push(...statement(body[end]!));
      i = end + 1;
    }
    return refs;
  }

  /** What later statements of a row are known by. */
  function declareIn(s: Statement): void {
    if (s.do === 'let' || s.do === 'var') declare(s.name, s.value.type);
  }

  function assign({ name, value }: StatementOf<'assign'>): Ref {
    const target = locals.get(copied(name, copy))!;
    if (target.type !== 'vector') return m.local.set(target.index, emit(value));
    const rest = lanes?.rest;
    if (!rest?.outside.has(name)) return m.local.set(target.index, wide(value));
    const mask = m.local.get(rest.mask, binaryen.v128);
    return m.local.set(target.index, m.v128.bitselect(wide(value), get(name), mask));
  }

  function statement(s: Statement): Ref[] {
    switch (s.do) {
      case 'comment':
        return [];
      case 'let':
      case 'var':
        return [m.local.set(declare(copied(ofRow(s.name), copy), s.value.type), emit(s.value))];
      case 'assign':
        return [assign(s)];
      case 'accumulator':
        return Array.from({ length: lanes ? Math.min(lanes.copies, s.copies) : s.copies }, (_, k) =>
          m.local.set(declare(copied(s.name, k), 'vector'), m.f32x4.splat(m.f32.const(s.identity))),
        );
      case 'store':
        return [storeOf(s)];
      case 'if':
        return [m.if(emit(s.test), block(s.body))];
      case 'repeat':
        return [m.local.set(declare(s.name, 'index'), repeatOf(s))];
      case 'for':
        return forOf(s);
      case 'lanes':
        return lanesOf(s);
      case 'rows':
        return rowsOf(s);
      case 'each':
        return eachRow(() => sequence(s.body));
      default:
        invariant(false, `${s.do} in WebAssembly`);
    }
  }

  const block = (body: readonly Statement[]): Ref => m.block(null, sequence(body));

  /** Runs the body while a condition holds. It is tested at the end of a turn, which takes one branch a turn, not two. */
  function loopWhile(holds: () => Ref, body: readonly Ref[]): Ref {
    const label = `loop_${labels++}`;
    return m.if(holds(), m.loop(label, m.block(null, [...body, m.br_if(label, holds())])));
  }

  function forOf({ name, from, below, step, body }: StatementOf<'for'>): Ref[] {
    const counter = declare(name, 'index');
    const at = (): Ref => m.local.get(counter, binaryen.i32);
    const limit = newLocal('index');
    return [
      m.local.set(counter, emit(from)),
      m.local.set(limit, emit(below)),
      loopWhile(
        () => m.i32.lt_u(at(), m.local.get(limit, binaryen.i32)),
        [...sequence(body), m.local.set(counter, m.i32.add(at(), emit(step)))],
      ),
    ];
  }

  /** What tells places apart that loops over lanes start from: those of rows abreast differ. */
  function placeOf(array: string, rest: Code | undefined): string {
    const isOwn = rest && [...(rows?.own ?? [])].some((id) => mentions(rest, id));
    return `${array} ${JSON.stringify(rest)} ${isOwn ? row : 0}`;
  }

  /** What is emitted for each of the rows abreast. */
  function eachRow(refs: () => readonly Ref[]): Ref[] {
    const all: Ref[] = [];
    for (row = 0; row < (rows?.abreast ?? 1); row++) all.push(...refs());
    row = 0;
    return all;
  }

  /** Turns of so many rows, and then of each that is left. */
  function rowsOf({ name, from, below, step, abreast, isLong, body }: StatementOf<'rows'>): Ref[] {
    const [first, apart, next, end, turns] = [newIndex(), newIndex(), newIndex(), newIndex(), newIndex()];
    const known = body.filter((s) => s.do === 'let');
    const loops = body.filter((s) => s.do !== 'let');
    const own = namesIn(known).add(name);
    const turn = (count: number): Ref[] => {
      rows = { abreast: count, own, isLeft: count < abreast };
      let place = first;
      const refs = eachRow(() => {
        const position = row === 0 ? first.get() : m.i32.add(place.get(), apart.get());
        place = indexLocal(declare(ofRow(name), 'index'));
        return [place.set(position), ...sequence(known)];
      });
      refs.push(...sequence(loops));
      rows = undefined;
      return refs;
    };
    const loop = (count: number, advance: Ref): Ref =>
      loopWhile(
        () => m.i32.lt_u(first.get(), end.get()),
        [...turn(count), first.set(m.i32.add(first.get(), advance))],
      );
    const all = [end.set(emit(below)), loop(1, emit(step))];
    if (abreast === 1) return [first.set(emit(from)), ...all];
    const group = times(step, index(abreast));
    return [
      turns.set(emit(binary('/', binary('-', below, from), group))),
      apart.set(emit(step)),
      next.set(emit(group)),
      m.if(
        emit(isLong),
        m.block(null, [apart.set(m.i32.mul(turns.get(), emit(step))), next.set(emit(step))]),
      ),
      first.set(emit(from)),
      end.set(m.i32.add(first.get(), m.i32.mul(turns.get(), next.get()))),
      loop(abreast, next.get()),
      first.set(m.i32.add(emit(from), m.i32.mul(turns.get(), emit(group)))),
      ...all,
    ];
  }

  function lanesOf(s: StatementOf<'lanes'>): Ref[] {
    const [bytes, limit, left] = [newIndex(), newIndex(), newIndex()];
    const mask = newLocal('mask');
    const sideBySide = rows?.isLeft ? 1 : s.copies;
    const inner = namesIn(s.body);
    const [pointers, setup] = pointersOf(s, inner);
    const outside = new Set([...locals.keys()].filter((name) => !inner.has(name)));
    const expand = (copies: number, rest?: Lanes['rest']): Ref[] => {
      lanes = { name: s.name, bytes, pointers, copies, ...(rest && { rest }) };
      const refs = sequence(s.body);
      lanes = undefined;
      return refs;
    };
    const turn = vectorBytes * sideBySide;
    const advance = (by: number): Ref => bytes.set(m.i32.add(bytes.get(), int(by)));
    const bytesLeft = (): Ref => m.i32.sub(limit.get(), bytes.get());
    const order = m.v128.const([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    const start = [
      ...setup,
      bytes.set(m.i32.shl(emit(s.from), int(2))),
      limit.set(m.i32.shl(emit(s.below), int(2))),
    ];
    if (s.isOpen)
      return [
        ...start,
        loopWhile(() => m.i32.lt_u(bytes.get(), limit.get()), [...expand(sideBySide), advance(turn)]),
      ];
    const count = m.i32.shr_u(left.get(), int(2));
    return [
      ...start,
      loopWhile(() => m.i32.ge_s(bytesLeft(), int(turn)), [...expand(sideBySide), advance(turn)]),
      loopWhile(
        () => m.i32.gt_s(left.tee(bytesLeft()), int(0)),
        [
          m.local.set(mask, m.i32x4.gt_s(m.i32x4.splat(count), order)),
          ...expand(1, { mask, left, outside }),
          advance(vectorBytes),
        ],
      ),
    ];
  }

  /** Addresses that are known before the loop. */
  function pointersOf(
    { name, body }: StatementOf<'lanes'>,
    inner: ReadonlySet<string>,
  ): readonly [Map<string, IndexLocal>, Ref[]] {
    const pointers = new Map<string, IndexLocal>();
    const setup: Ref[] = [];
    const visit = (array: string, index: Code): void => {
      if (!mentions(index, name)) return;
      const rest = withoutLane(index, name);
      const key = placeOf(array, rest);
      if (pointers.has(key) || (rest && [...inner].some((id) => mentions(rest, id)))) return;
      const pointer = newIndex();
      pointers.set(key, pointer);
      setup.push(pointer.set(baseOf(array, rest)));
    };
    eachRow(() => {
      eachCode(body, (code) => {
        if (code.code === 'load' && code.type === 'vector') visit(code.array, code.index);
      });
      eachStatement(body, (s) => {
        if (s.do === 'store') visit(s.array, s.index);
      });
      return [];
    });
    return [pointers, setup];
  }

  return {
    block,
    declare,
    /** The types of the locals, to be asked for last. */
    types: () => types,
  };
}

/** Neighbours are combined first, so that no operation waits for many others. */
function pairwise(refs: readonly Ref[], combine: (a: Ref, b: Ref) => Ref): Ref {
  if (refs.length === 1) return refs[0]!;
  const half = Math.ceil(refs.length / 2);
  return combine(pairwise(refs.slice(0, half), combine), pairwise(refs.slice(half), combine));
}

/** Names that statements define. */
function namesIn(body: readonly Statement[]): Set<string> {
  const names = new Set<string>();
  eachStatement(body, (s) => {
    if ('name' in s && s.do !== 'assign') names.add(s.name);
  });
  return names;
}

function mentions(code: Code, id: string): boolean {
  let found = false;
  eachCode([{ do: 'let', name: '', value: code }], (inner) => {
    if (inner.code === 'name' && inner.name === id) found = true;
  });
  return found;
}

/** What an index is beside the position along the lanes, which it holds once, as a term. */
function withoutLane(index: Code, lane: string): Code | undefined {
  if (index.code === 'name' && index.name === lane) return undefined;
  invariant(index.code === 'binary' && index.operator === '+', 'lanes do not lie side by side');
  const [mine, other] = mentions(index.a, lane) ? [index.a, index.b] : [index.b, index.a];
  const rest = withoutLane(mine, lane);
  return rest ? { ...index, a: rest, b: other } : other;
}

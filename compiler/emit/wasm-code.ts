/** Statements of a routine as WebAssembly, one row a construct, and the expansion of loops over lanes and rows. */
import { invariant } from '../diagnostics.ts';
import { eachCode, eachStatement } from '../kernel/collect.ts';
import { type Binding, binary, type Code, index, type Statement, times } from '../kernel/kernel.ts';
import { createExpressions, mentions, vectorBytes, withoutLane } from './wasm-expressions.ts';
import type { Functions } from './wasm-functions.ts';
import type { Binaryen, Module, Ref } from './wasm-module.ts';
import { createScope, type IndexLocal, type Lanes } from './wasm-scope.ts';

type StatementOf<D extends Statement['do']> = Extract<Statement, { do: D }>;

/** The code of one function's body. */
export function createCoder(
  binaryen: Binaryen,
  m: Module,
  functions: Functions,
  bindings: ReadonlyMap<string, Binding>,
  parameters: number,
) {
  const scope = createScope(binaryen, m, parameters);
  const { newLocal, newIndex, indexLocal, declare, copied, ofRow, get } = scope;
  const { emit, wide, addressOf, laneAddress, baseOf, placeOf, bytesOf, shiftOf } = createExpressions(
    binaryen,
    m,
    functions,
    bindings,
    scope,
  );
  const int = (value: number): Ref => m.i32.const(value);

  function storeOf({ array, index, value }: StatementOf<'store'>): Ref {
    const { lanes, copy } = scope;
    if (lanes && mentions(index, lanes.name)) {
      const address = laneAddress(array, index);
      if (!lanes.rest?.left) return m.v128.store(copy * vectorBytes, 4, address, wide(value));
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
        return scope.find(s.name)?.type === 'vector';
      case 'store':
        return scope.lanes !== undefined && mentions(s.index, scope.lanes.name);
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
      for (scope.copy = 0; scope.copy < (scope.lanes?.copies ?? 1); scope.copy++)
        refs.push(...row.flatMap(statement));
      scope.copy = 0;
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
    const target = scope.find(copied(name, scope.copy))!;
    if (target.type !== 'vector') return m.local.set(target.index, emit(value));
    const rest = scope.lanes?.rest;
    if (!rest?.outside.has(name)) return m.local.set(target.index, wide(value));
    const mask = m.local.get(rest.mask, binaryen.v128);
    return m.local.set(target.index, m.v128.bitselect(wide(value), get(name), mask));
  }

  function statement(s: Statement): Ref[] {
    switch (s.do) {
      case 'let':
      case 'var':
        return [m.local.set(declare(copied(ofRow(s.name), scope.copy), s.value.type), emit(s.value))];
      case 'assign':
        return [assign(s)];
      case 'accumulator':
        return Array.from({ length: Math.min(scope.lanes?.copies ?? s.copies, s.copies) }, (_, k) =>
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

  let labels = 0;
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

  /** What is emitted for each of the rows abreast. */
  function eachRow(refs: () => readonly Ref[]): Ref[] {
    const all: Ref[] = [];
    for (scope.row = 0; scope.row < (scope.rows?.abreast ?? 1); scope.row++) all.push(...refs());
    scope.row = 0;
    return all;
  }

  /** Turns of so many rows, and then of each that is left. */
  function rowsOf({ name, from, below, step, abreast, isLong, body }: StatementOf<'rows'>): Ref[] {
    const [first, apart, next, end, turns] = [newIndex(), newIndex(), newIndex(), newIndex(), newIndex()];
    const known = body.filter((s) => s.do === 'let');
    const loops = body.filter((s) => s.do !== 'let');
    const own = namesDeclaredIn(known).add(name);
    const turn = (count: number): Ref[] => {
      scope.rows = { abreast: count, own, isLeft: count < abreast };
      let place = first;
      const refs = eachRow(() => {
        const position = scope.row === 0 ? first.get() : m.i32.add(place.get(), apart.get());
        place = indexLocal(declare(ofRow(name), 'index'));
        return [place.set(position), ...sequence(known)];
      });
      refs.push(...sequence(loops));
      scope.rows = undefined;
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
    const sideBySide = scope.rows?.isLeft ? 1 : s.copies;
    const inner = namesDeclaredIn(s.body);
    const [pointers, setup] = pointersOf(s, inner);
    const outside = new Set(scope.names().filter((name) => !inner.has(name)));
    const expand = (copies: number, rest?: Lanes['rest']): Ref[] => {
      scope.lanes = { name: s.name, bytes, pointers, copies, ...(rest && { rest }) };
      const refs = sequence(s.body);
      scope.lanes = undefined;
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
    const lanesIn = (some: Ref): Ref => m.i32x4.splat(m.i32.shr_u(some, int(2)));
    const isLeft = (): Ref => m.i32.gt_s(left.tee(bytesLeft()), int(0));
    const part = loopWhile(isLeft, [
      m.local.set(mask, m.i32x4.gt_s(lanesIn(left.get()), order)),
      ...expand(1, { mask, left, outside }),
      advance(vectorBytes),
    ]);
    // the last vector begins before what is left, if it can: what is there already does not change when it is stored again
    const past = (): Ref => m.i32.sub(int(vectorBytes), left.get());
    const back = newIndex();
    const whole = (): Ref =>
      loopWhile(isLeft, [
        back.set(m.select(m.i32.lt_s(left.get(), int(vectorBytes)), past(), int(0))),
        bytes.set(m.i32.sub(bytes.get(), back.get())),
        m.local.set(mask, m.i32x4.ge_s(order, lanesIn(back.get()))),
        ...expand(1, { mask, outside }),
        advance(vectorBytes),
      ]);
    const length = m.i32.sub(limit.get(), m.i32.shl(emit(s.from), int(2)));
    return [
      ...start,
      loopWhile(() => m.i32.ge_s(bytesLeft(), int(turn)), [...expand(sideBySide), advance(turn)]),
      isRepeatable(s.body) ? m.if(m.i32.ge_s(length, int(vectorBytes)), whole(), part) : part,
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
    types: scope.types,
  };
}

/** Names that statements define. */
function namesDeclaredIn(body: readonly Statement[]): Set<string> {
  const names = new Set<string>();
  eachStatement(body, (s) => {
    if ('name' in s && s.do !== 'assign') names.add(s.name);
  });
  return names;
}

/** Whether it makes no difference if statements are run again: none reads what another stores. */
function isRepeatable(body: readonly Statement[]): boolean {
  const stored = new Set<string>();
  eachStatement(body, (s) => s.do === 'store' && stored.add(s.array));
  let isReadAgain = false;
  eachCode(body, (code) => {
    isReadAgain ||= code.code === 'load' && stored.has(code.array);
  });
  return stored.size > 0 && !isReadAgain;
}

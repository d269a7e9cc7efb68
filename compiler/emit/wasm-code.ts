/** Statements of a routine as WebAssembly, one row a construct, and the expansion of loops over rows. */
import { invariant } from '../diagnostics.ts';
import { type Binding, binary, type Code, index, type Statement, times } from '../kernel/kernel.ts';
import { createExpressions, mentions, vectorBytes } from './wasm-expressions.ts';
import { isLinear, namesDeclaredIn } from './wasm-facts.ts';
import type { Functions } from './wasm-functions.ts';
import { createLaneLoops } from './wasm-lanes.ts';
import type { Binaryen, Module, Ref } from './wasm-module.ts';
import { createScope } from './wasm-scope.ts';

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
  const expressions = createExpressions(binaryen, m, functions, bindings, scope);
  const { emit, wide, addressOf, laneAddress, bytesOf, shiftOf } = expressions;
  const int = (value: number): Ref => m.i32.const(value);
  const lanesOf = createLaneLoops(m, scope, expressions, { sequence, eachRow, loopWhile });

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

  /** Turns of so many rows far apart, then of so many neighbours, and then of each that is left. */
  function rowsOf(s: StatementOf<'rows'>): Ref[] {
    const { name, step, from, together, distance, apart, next, neighbours, below, body } = s;
    const [first, away, end] = [newIndex(), newIndex(), newIndex()];
    const known = body.filter((s) => s.do === 'let');
    const loops = body.filter((s) => s.do !== 'let');
    const own = namesDeclaredIn(known).add(name);
    const isEven = (index: Code): boolean => isLinear(index, name, known);
    const loop = (abreast: number, isNarrow: boolean): Ref => {
      const isApart = abreast > 1 && isNarrow;
      scope.rows = { abreast, own, isEven, isApart, isNarrow };
      let place = first;
      const refs = eachRow(() => {
        const position = scope.row === 0 ? first.get() : m.i32.add(place.get(), away.get());
        place = indexLocal(declare(ofRow(name), 'index'));
        return [place.set(position), ...sequence(known)];
      });
      refs.push(...sequence(loops));
      scope.rows = undefined;
      const advance = isApart ? emit(step) : emit(times(step, index(abreast)));
      return loopWhile(
        () => m.i32.lt_u(first.get(), end.get()),
        [...refs, first.set(m.i32.add(first.get(), advance))],
      );
    };
    const refs = [
      first.set(emit(from)),
      away.set(emit(distance)),
      end.set(emit(together)),
      loop(apart, true),
      first.set(emit(next)),
    ];
    if (neighbours > 1) {
      const group = times(step, index(neighbours));
      const whole = binary('-', below, binary('%', binary('-', below, next), group));
      refs.push(away.set(emit(step)), end.set(emit(whole)), loop(neighbours, false));
    }
    return [...refs, end.set(emit(below)), loop(1, neighbours > 1)];
  }

  return {
    block,
    declare,
    types: scope.types,
  };
}

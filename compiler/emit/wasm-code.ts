/** Statements of a routine as WebAssembly, one row a construct. */
import { invariant } from '../diagnostics.ts';
import type { Binding, Statement } from '../kernel/kernel.ts';
import { mentions, vectorBytes } from './wasm-addresses.ts';
import { createExpressions } from './wasm-expressions.ts';
import type { Functions } from './wasm-functions.ts';
import { createLaneLoops } from './wasm-lanes.ts';
import { createLoops } from './wasm-loops.ts';
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
  const { declare, copied, ofRow, get } = scope;
  const expressions = createExpressions(binaryen, m, functions, bindings, scope);
  const { emit, wide, addressOf, laneAddress, bytesOf, shiftOf } = expressions;
  const int = (value: number): Ref => m.i32.const(value);
  const loops = createLoops(binaryen, m, scope, emit, sequence);
  const lanesOf = createLaneLoops(m, scope, expressions, sequence, loops);

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

  function callOf({ function: name, from, below }: StatementOf<'call'>): Ref {
    const numbers = m.local.get(0, binaryen.i32);
    return m.call(name, [numbers, emit(from), emit(below)], binaryen.none);
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
      case 'call':
        return [callOf(s)];
      case 'for':
        return loops.forOf(s);
      case 'lanes':
        return lanesOf(s);
      case 'rows':
        return loops.rowsOf(s);
      case 'each':
        return loops.eachRow(() => sequence(s.body));
      default:
        invariant(false, `${s.do} in WebAssembly`);
    }
  }

  const block = (body: readonly Statement[]): Ref => m.block(null, sequence(body));

  return {
    block,
    declare,
    types: scope.types,
  };
}

/** Loops over lanes as WebAssembly: whole turns, and what is left past the last of them. */
import { eachCode, eachStatement } from '../kernel/collect.ts';
import type { Code, Statement } from '../kernel/kernel.ts';
import { mentions, vectorBytes, withoutLane, writeIndex } from './wasm-addresses.ts';
import type { Expressions } from './wasm-expressions.ts';
import { isRepeatable, namesDeclaredIn } from './wasm-facts.ts';
import type { Loops } from './wasm-loops.ts';
import type { Module, Ref } from './wasm-module.ts';
import type { IndexLocal, Lanes, Scope } from './wasm-scope.ts';

type LaneLoop = Extract<Statement, { do: 'lanes' }>;

/** `sequence` emits what is inside. */
export function createLaneLoops(
  m: Module,
  scope: Scope,
  { emit, baseOf, placeOf }: Expressions,
  sequence: (body: readonly Statement[]) => Ref[],
  { eachRow, loopWhile }: Loops,
): (s: LaneLoop) => Ref[] {
  const { newLocal, newIndex } = scope;
  const int = (value: number): Ref => m.i32.const(value);

  function lanesOf(s: LaneLoop): Ref[] {
    const [bytes, limit, left] = [newIndex(), newIndex(), newIndex()];
    const mask = newLocal('mask');
    const sideBySide = scope.rows?.isNarrow ? 1 : s.copies;
    const inner = namesDeclaredIn(s.body);
    const { pointers, distances, setup } = pointersOf(s, inner);
    const outside = new Set(scope.names().filter((name) => !inner.has(name)));
    const expand = (copies: number, rest?: Lanes['rest']): Ref[] => {
      scope.lanes = { name: s.name, bytes, pointers, distances, copies, ...(rest && { rest }) };
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
    const part = (): Ref =>
      loopWhile(isLeft, [
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
    const rest = (): Ref => {
      if (!isRepeatable(s.body)) return part();
      if (scope.rows?.isApart) return whole();
      const length = m.i32.sub(limit.get(), m.i32.shl(emit(s.from), int(2)));
      return m.if(m.i32.ge_s(length, int(vectorBytes)), whole(), part());
    };
    return [
      ...start,
      loopWhile(() => m.i32.ge_s(bytesLeft(), int(turn)), [...expand(sideBySide), advance(turn)]),
      rest(),
    ];
  }

  /** Addresses that are known before the loop. */
  function pointersOf(
    { name, body }: LaneLoop,
    inner: ReadonlySet<string>,
  ): Pick<Lanes, 'pointers' | 'distances'> & { readonly setup: Ref[] } {
    const pointers = new Map<string, IndexLocal>();
    const distances = new Map<string, IndexLocal>();
    const setup: Ref[] = [];
    /** How far the second row is from the first. */
    const measure = (rest: Code): void => {
      if (distances.has(writeIndex(rest))) return;
      const distance = newIndex();
      distances.set(writeIndex(rest), distance);
      const second = m.i32.shl(emit(rest), int(2));
      const { row } = scope;
      scope.row = 0;
      const first = m.i32.shl(emit(rest), int(2));
      scope.row = row;
      setup.push(distance.set(m.i32.sub(second, first)));
    };
    const visit = (array: string, index: Code): void => {
      if (!mentions(index, name)) return;
      const rest = withoutLane(index, name);
      const key = placeOf(array, rest);
      if (pointers.has(key) || (rest && [...inner].some((id) => mentions(rest, id)))) return;
      if (rest && scope.row > 0 && scope.rows!.isEven(rest)) {
        measure(rest);
        return;
      }
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
    return { pointers, distances, setup };
  }

  return lanesOf;
}

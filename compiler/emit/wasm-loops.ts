/** Loops as WebAssembly: counted ones, and the expansion of those over rows. */
import { binary, type Code, index, type Statement, times } from '../kernel/kernel.ts';
import { isLinear, namesDeclaredIn } from './wasm-facts.ts';
import type { Binaryen, Module, Ref } from './wasm-module.ts';
import type { Scope } from './wasm-scope.ts';

type StatementOf<D extends Statement['do']> = Extract<Statement, { do: D }>;

export type Loops = ReturnType<typeof createLoops>;

/** `sequence` emits what is inside. */
export function createLoops(
  binaryen: Binaryen,
  m: Module,
  scope: Scope,
  emit: (code: Code) => Ref,
  sequence: (body: readonly Statement[]) => Ref[],
) {
  const { newLocal, newIndex, indexLocal, declare, ofRow } = scope;

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

  return { loopWhile, eachRow, forOf, rowsOf };
}

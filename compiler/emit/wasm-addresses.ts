/** Where elements lie in memory, also those of vectors in loops over lanes, and of rows abreast. */
import { invariant } from '../diagnostics.ts';
import { eachCode } from '../kernel/collect.ts';
import type { Binding, Code } from '../kernel/kernel.ts';
import type { Module, Ref } from './wasm-module.ts';
import type { Scope } from './wasm-scope.ts';

/** Bytes of a vector. */
export const vectorBytes = 16;

/** Addresses in bytes, of the elements that indices count. `emit` gives the values of indices. */
export function createAddresses(
  m: Module,
  bindings: ReadonlyMap<string, Binding>,
  scope: Scope,
  emit: (code: Code) => Ref,
) {
  const { get } = scope;
  const bytesOf = (array: string): number => (bindings.get(array)?.dtype === 'f64' ? 8 : 4);
  const shiftOf = (array: string): number => (bytesOf(array) === 8 ? 3 : 2);
  const addressOf = (array: string, index: Code): Ref => m.i32.add(get(array), bytesAt(array, index));
  const bytesAt = (array: string, index: Code): Ref =>
    index.code === 'number'
      ? m.i32.const(index.value << shiftOf(array))
      : m.i32.shl(emit(index), m.i32.const(shiftOf(array)));

  /** The address of a vector in a loop over lanes, without the copy's offset. */
  function laneAddress(array: string, index: Code): Ref {
    const { lanes } = scope;
    invariant(lanes, 'a vector outside of a loop over lanes');
    const rest = withoutLane(index, lanes.name);
    const distance = rest && scope.row > 0 ? lanes.distances.get(writeIndex(rest)) : undefined;
    const pointer = lanes.pointers.get(distance ? firstPlaceOf(array, rest) : placeOf(array, rest));
    const base = pointer === undefined ? baseOf(array, rest) : pointer.get();
    let address = m.i32.add(base, lanes.bytes.get());
    if (distance) for (let row = 0; row < scope.row; row++) address = m.i32.add(address, distance.get());
    return address;
  }
  const baseOf = (array: string, rest: Code | undefined): Ref => (rest ? addressOf(array, rest) : get(array));

  /** Whether an index differs in rows abreast. */
  const isOfRow = (rest: Code): boolean => [...(scope.rows?.own ?? [])].some((id) => mentions(rest, id));

  /** What tells places apart that loops over lanes start from: those of rows abreast differ. */
  const placeOf = (array: string, rest: Code | undefined): string =>
    rest && scope.row > 0 && isOfRow(rest)
      ? `${firstPlaceOf(array, rest)} ${scope.row}`
      : firstPlaceOf(array, rest);

  return { bytesOf, shiftOf, addressOf, laneAddress, baseOf, placeOf };
}

/** What tells indices apart. */
export const writeIndex = (index: Code): string => JSON.stringify(index);
const firstPlaceOf = (array: string, rest: Code | undefined): string =>
  `${array} ${rest ? writeIndex(rest) : ''}`;

/** Whether a name is part of it. */
export function mentions(code: Code, id: string): boolean {
  let found = false;
  eachCode([{ do: 'let', name: '', value: code }], (inner) => {
    if (inner.code === 'name' && inner.name === id) found = true;
  });
  return found;
}

/** What an index is beside the position along the lanes, which it holds once, as a term. */
export function withoutLane(index: Code, lane: string): Code | undefined {
  if (index.code === 'name' && index.name === lane) return undefined;
  invariant(index.code === 'binary' && index.operator === '+', 'lanes do not lie side by side');
  const [mine, other] = mentions(index.a, lane) ? [index.a, index.b] : [index.b, index.a];
  const rest = withoutLane(mine, lane);
  return rest ? { ...index, a: rest, b: other } : other;
}

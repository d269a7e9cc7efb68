/** Gives names to what is long and written more than once, so that no formula explodes. */
import { isShort, type Notation, nameNotation, partsOf, withParts } from './notation.ts';
import { textOf } from './text.ts';

export interface Shared {
  /** What the new names stand for, in the order in which they need each other. */
  readonly definitions: readonly { readonly name: string; readonly of: Notation }[];
  readonly roots: readonly Notation[];
}

/** A formula longer than this has all that it repeats named. */
const tooLong = 240;

/** Names only what is long where formulas are easy to take in, and more where they are not. */
export function shareLong(roots: readonly Notation[], fresh: (base: string) => string): Shared {
  const isLong = roots.some((root) => lengthOf(root, tooLong) >= tooLong);
  return shareParts(roots, fresh, isLong ? 10 : 44);
}

/** `longest`: shorter formulas than this are written out however often they occur. */
function shareParts(roots: readonly Notation[], fresh: (base: string) => string, longest: number): Shared {
  const order = inOrder(roots);
  const uses = new Map<Notation, number>();
  for (const n of order) for (const part of partsOf(n)) uses.set(part, (uses.get(part) ?? 0) + 1);
  for (const root of new Set(roots)) {
    const times = roots.filter((other) => other === root).length;
    uses.set(root, (uses.get(root) ?? 0) + (times > 1 ? times : 0));
  }
  const changed = new Map<Notation, Notation>();
  const definitions: { name: string; of: Notation }[] = [];
  for (const n of order) {
    const rebuilt =
      partsOf(n).length === 0
        ? n
        : withParts(
            n,
            partsOf(n).map((part) => changed.get(part)!),
          );
    const length = lengthOf(rebuilt, longest);
    if (!isShort(n) && (uses.get(n) ?? 0) > 1 && length >= longest) {
      const name = fresh(n.is === 'reduce' || n.is === 'call' ? n.fn : 't');
      definitions.push({ name, of: rebuilt });
      changed.set(n, nameNotation(name));
    } else {
      changed.set(n, rebuilt);
    }
  }
  return { definitions, roots: roots.map((root) => changed.get(root)!) };
}

/** The length as text, or `enough` once it is that long: shared parts are not written out again and again. */
function lengthOf(n: Notation, enough: number): number {
  let length = 0;
  const stack = [n];
  for (let next = stack.pop(); next && length < enough; next = stack.pop()) {
    length += isShort(next) ? textOf(next).length : 3;
    stack.push(...partsOf(next));
  }
  return length;
}

/** Every notation in some roots once, parts before wholes. */
function inOrder(roots: readonly Notation[]): Notation[] {
  const order: Notation[] = [];
  const seen = new Set<Notation>();
  const visit = (n: Notation): void => {
    if (seen.has(n)) return;
    seen.add(n);
    partsOf(n).forEach(visit);
    order.push(n);
  };
  roots.forEach(visit);
  return order;
}

/** A formula as its author wrote it, in one variant: branches the variant rules out are left out. */
import type { Formula, Variant } from '../spec/spec.ts';
import { staticTruth } from '../spec/variants.ts';
import { type Notation, nameNotation, numberNotation, type SignedTerm, sumOf } from './notation.ts';

/** The notation of a formula, or undefined where the variant changes more of it than which branch is taken. */
export function formulaNotation(
  formula: Formula,
  variant: Variant,
  isAbsent: (name: string) => boolean,
): Notation | undefined {
  let isChanged = false;

  const show = (f: Formula): Notation => {
    const known = f.kind === 'true' || f.kind === 'false' ? undefined : staticTruth(f, variant);
    if (known !== undefined) isChanged = true;
    switch (f.kind) {
      case 'number':
        return numberNotation(f.text);
      case 'constant':
        return nameNotation(f.name);
      case 'name':
        if (isAbsent(f.name)) isChanged = true;
        return nameNotation(f.name);
      case 'true':
      case 'false':
        return nameNotation(f.kind);
      case 'sum':
        return sumOf(f.terms.map(({ negative, of }): SignedTerm => ({ minus: negative, of: show(of) })));
      case 'negate':
        return sumOf([{ minus: true, of: show(f.of) }]);
      case 'multiply':
        return { is: 'product', factors: [...factorsOf(f.a), ...factorsOf(f.b)] };
      case 'divide':
        return { is: 'fraction', above: show(f.a), below: show(f.b) };
      case 'power':
        return { is: 'power', base: show(f.a), exponent: show(f.b) };
      case 'compare':
        return { is: 'relation', operator: f.operator, a: show(f.a), b: show(f.b) };
      case 'and':
      case 'or':
        return { is: 'relation', operator: f.kind, a: show(f.a), b: show(f.b) };
      case 'not':
        return { is: 'not', of: show(f.of) };
      case 'select': {
        const test = staticTruth(f.test, variant);
        if (test !== undefined) return show(test ? f.then : f.else);
        return { is: 'choice', test: show(f.test), then: show(f.then), else: show(f.else) };
      }
      case 'unary':
        return f.fn === 'sqrt'
          ? { is: 'root', of: show(f.of) }
          : { is: 'call', fn: f.fn, args: [show(f.of)] };
      case 'binary':
        return { is: 'call', fn: f.fn, args: [show(f.a), show(f.b)] };
      case 'clamp':
        return { is: 'call', fn: 'clamp', args: [show(f.of), show(f.low), show(f.high)] };
      case 'reduce':
        return { is: 'reduce', fn: f.fn, of: show(f.of), over: f.over };
      case 'count':
        return { is: 'count', axes: f.over };
      case 'given':
        return { is: 'call', fn: 'given', args: [nameNotation(f.name)] };
      case 'stop_gradient':
        return { is: 'call', fn: 'stop_gradient', args: [show(f.of)] };
      case 'op': {
        // what the variant leaves out or decides is not among the arguments
        const isPassed = (argument: Formula): boolean =>
          staticTruth(argument, variant) === undefined && !isMissing(argument);
        const all = [...f.arguments];
        const gap = all.findIndex(([, argument]) => !isPassed(argument));
        const plain = gap < 0 ? f.positional : Math.min(gap, f.positional);
        const named = all.slice(plain).filter(([, argument]) => isPassed(argument));
        const passed = [...all.slice(0, plain), ...named];
        return {
          is: 'call',
          fn: f.entry,
          args: passed.map(([, argument]) => show(argument)),
          ...(named.length > 0 && { keywords: named.map(([name]) => name) }),
        };
      }
    }
  };
  const isMissing = (f: Formula): boolean => f.kind === 'name' && isAbsent(f.name);
  const factorsOf = (f: Formula): readonly Notation[] =>
    f.kind === 'multiply' ? [...factorsOf(f.a), ...factorsOf(f.b)] : [show(f)];

  const shown = show(formula);
  return isChanged ? undefined : shown;
}

/** Visits what each variant evaluates, and reports reads of tensors that are not given there. */
import { quoted, type Report } from './codes.ts';
import { exactFraction } from './numeral.ts';
import { intsOf, knownAxes } from './sizes.ts';
import type { Axis, Entry, Formula, Variant } from './spec.ts';
import { type Known, staticNumber, staticTruth, variantKey, variantsOf } from './variants.ts';

interface Visit {
  readonly entry: Entry;
  readonly variant: Variant;
  readonly known: ReadonlySet<Axis>;
  readonly callees: Callees;
  readonly report: Report;
}

/** The variants of called entries, by the names that are on. */
type Callees = Map<Entry, ReadonlySet<string>>;

const described = ({ entry, variant }: Pick<Visit, 'entry' | 'variant'>): string => {
  const key = variantKey(entry, variant);
  return key === '' ? 'the variant without any option' : `the variant ${quoted(key)}`;
};

/** All formulas are evaluated in every variant, apart from what is said of tensors that are not given. */
export function checkReads(entry: Entry, variants: readonly Variant[], reportAll: Report): void {
  // One mistake a place: the first variant where it happens is named.
  const seen = new Set<string>();
  const report: Report = (code, span, message, hint) => {
    const key = `${code} ${span.start} ${span.end}`;
    if (!seen.has(key)) reportAll(code, span, message, hint);
    seen.add(key);
  };
  const callees: Callees = new Map();
  const tensors = entry.arguments.filter((argument) => argument.kind === 'tensor');
  for (const variant of variants) {
    const isGiven = (name: string): boolean => variant.given.get(name) !== false;
    const known = knownAxes(
      tensors.filter(({ name }) => isGiven(name)),
      intsOf(entry.arguments),
    );
    const visit = { entry, variant, known, callees, report };
    for (const { axes, name, span } of entry.returns) {
      const unknown = axes.find((axis) => !known.has(axis));
      if (unknown === undefined) continue;
      report(
        'uninferable-axis',
        span,
        `the size of the axis ${quoted(unknown)} of ${quoted(name)} cannot be told in ${described(visit)}`,
        `add the argument 'int ${unknown}'`,
      );
    }
    const named = [...entry.update, ...entry.gradients, ...entry.second].filter(({ name }) => isGiven(name));
    for (const { that } of entry.require) visitLive(that, visit);
    for (const { formula } of [...entry.forward, ...named, ...entry.tangents]) visitLive(formula, visit);
  }
}

function visitLive(formula: Formula, visit: Visit): void {
  if (formula.kind === 'name') checkRead(formula, visit);
  if (formula.kind === 'reduce' || formula.kind === 'count') checkKnown(formula, visit);
  if (formula.kind === 'op') visitOp(formula, visit);
  for (const part of liveParts(formula, visit.variant)) visitLive(part, visit);
}

/** The parts of a formula that are evaluated in a variant; those of a call are its callee's affair. */
function liveParts(formula: Formula, variant: Variant): readonly Formula[] {
  switch (formula.kind) {
    case 'sum':
      return formula.terms.map(({ of }) => of);
    case 'multiply':
    case 'divide':
    case 'power':
    case 'compare':
    case 'binary':
      return [formula.a, formula.b];
    case 'and':
    case 'or': {
      const isSettled = staticTruth(formula.a, variant) === (formula.kind === 'or');
      return isSettled ? [formula.a] : [formula.a, formula.b];
    }
    case 'negate':
    case 'not':
    case 'unary':
    case 'stop_gradient':
    case 'reduce':
      return [formula.of];
    case 'clamp':
      return [formula.of, formula.low, formula.high];
    case 'select': {
      const test = staticTruth(formula.test, variant);
      if (test === undefined) return [formula.test, formula.then, formula.else];
      return [formula.test, test ? formula.then : formula.else];
    }
    case 'name':
    case 'op':
    case 'count':
    case 'number':
    case 'constant':
    case 'given':
    case 'true':
    case 'false':
      return [];
  }
}

function checkRead({ name, span }: Formula & { kind: 'name' }, visit: Visit): void {
  if (visit.variant.given.get(name) !== false || visit.entry.absent.has(name)) return;
  const message = `${quoted(name)} is read in ${described(visit)}, where it is not given, and has no absent value`;
  visit.report('absent-read', span, message, `test 'given(${name})', or add 'absent: {${name}: …}'`);
}

function checkKnown({ over, span }: Formula & { kind: 'reduce' | 'count' }, visit: Visit): void {
  const unknown = over.find((axis) => !visit.known.has(axis));
  if (unknown === undefined) return;
  visit.report(
    'uninferable-axis',
    span,
    `the size of the axis ${quoted(unknown)} cannot be told in ${described(visit)}`,
    `add the argument 'int ${unknown}'`,
  );
}

/** The callee's variant must be one that it has; a tensor passed by name is given where the caller's is. */
function visitOp(call: Formula & { kind: 'op' }, visit: Visit): void {
  const callee = visit.entry.entries.get(call.entry);
  if (!callee) return;
  const flags = new Map<string, boolean>();
  const given = new Map<string, boolean>();
  for (const argument of callee.arguments) {
    const passed = call.arguments.get(argument.name);
    const isMissing = passed?.kind === 'name' && visit.variant.given.get(passed.name) === false;
    if (argument.kind === 'bool') {
      flags.set(argument.name, (passed ? staticTruth(passed, visit.variant) : argument.default) ?? false);
    } else if (argument.kind === 'tensor' && argument.optional) {
      given.set(argument.name, passed !== undefined && !isMissing);
      if (isMissing) continue;
    }
    if (passed) visitLive(passed, visit);
  }
  const variant = { flags, given };
  const known =
    visit.callees.get(callee) ?? new Set(variantsOf(callee).map((one) => variantKey(callee, one)));
  visit.callees.set(callee, known);
  const numbers = numbersOf(call, callee, visit.variant);
  const broken = callee.require.find(({ that }) => staticTruth(that, variant, numbers) === false);
  if (!broken && known.has(variantKey(callee, variant))) return;
  const why = broken
    ? `: ${broken.else}`
    : `: ${callee.together.map((group) => group.join(' and ')).join('; ')} go together`;
  visit.report(
    'no-variant',
    call.span,
    `${quoted(call.entry)} cannot be called so in ${described(visit)}${why}`,
  );
}

/** The attributes of a callee that are known at compile time; a size that is not passed depends on tensors. */
function numbersOf(call: Formula & { kind: 'op' }, callee: Entry, variant: Variant): Known {
  return new Map(
    callee.arguments.flatMap((argument) => {
      if (argument.kind !== 'float' && argument.kind !== 'int') return [];
      const passed = call.arguments.get(argument.name);
      const isOpen = argument.default === undefined || callee.axes.includes(argument.name);
      const fallback = isOpen ? undefined : exactFraction(String(argument.default));
      const value = passed ? staticNumber(passed, variant) : fallback;
      return value ? [[argument.name, value] as const] : [];
    }),
  );
}

/** Which axes' sizes, and which folds' ranks, can be told from an entry's arguments. */
import { quoted, type Report } from './codes.ts';
import type { Signature } from './signature.ts';
import type { Argument, Axis, Dimension, TensorArgument } from './spec.ts';

type Tensor = Pick<TensorArgument, 'dimensions'>;

/**
 * The axes known when these tensors are given: a plain axis from any of them, a fold from a tensor whose other folds
 * are known, a part of a split when the other parts are known, and whatever an `int` argument is named after.
 */
export function knownAxes(tensors: readonly Tensor[], ints: Iterable<Axis>): Set<Axis> {
  const known = new Set(ints);
  for (let size = -1; size < known.size; ) {
    size = known.size;
    for (const { dimensions } of tensors) {
      for (const d of dimensions) if (d.kind === 'axis') known.add(d.axis);
      learn(
        dimensions.flatMap((d) => (d.kind === 'fold' ? [d.axis] : [])),
        known,
      );
      for (const d of dimensions) if (d.kind === 'split') learn(d.axes, known);
    }
  }
  return known;
}

/** One unknown among known ones becomes known. */
function learn(axes: readonly Axis[], known: Set<Axis>): void {
  const unknown = axes.filter((axis) => !known.has(axis));
  if (unknown.length === 1) known.add(unknown[0]!);
}

export const intsOf = (args: readonly Argument[]): string[] =>
  args.flatMap(({ kind, name }) => (kind === 'int' ? [name] : []));

/** Whether all is well with the axes; reports folds that are also plain axes, folds whose ranks cannot be told, and axes whose sizes cannot. */
export function checkSizes(signature: Signature, reportOne: Report): boolean {
  let sound = true;
  const report: Report = (...mistake) => {
    sound = false;
    reportOne(...mistake);
  };
  const tensors = signature.parameters.flatMap((p) => (p.kind === 'tensor' ? [p] : []));
  const ints = signature.parameters.flatMap((p) => (p.kind === 'int' ? [p.id.name] : []));
  checkKinds(
    [...tensors, ...signature.returns].map(({ shape }) => shape),
    ints,
    report,
  );
  const known = knownAxes(
    tensors.map(({ shape }) => shape),
    ints,
  );
  for (const { shape, id } of tensors) {
    for (const d of shape.dimensions) {
      const unknown = (d.kind === 'split' ? d.axes : [d.axis]).find((axis) => !known.has(axis));
      if (unknown === undefined) continue;
      const span = shape.axes.find(({ name }) => name === unknown)!.span;
      if (d.kind === 'fold') {
        report(
          'ambiguous-fold',
          span,
          `where the fold ${quoted(unknown)} of ${quoted(id.name)} ends cannot be told`,
          'one fold a tensor, or another tensor with that fold alone',
        );
        known.add(unknown);
      } else {
        report(
          'uninferable-axis',
          span,
          `the size of the axis ${quoted(unknown)} cannot be told`,
          `add the argument 'int ${unknown}'`,
        );
        for (const axis of d.kind === 'split' ? d.axes : []) known.add(axis);
      }
    }
  }
  for (const { shape, id } of signature.returns) {
    for (const { name, span } of shape.axes) {
      if (known.has(name)) continue;
      report(
        'uninferable-axis',
        span,
        `no argument has the axis ${quoted(name)} of ${quoted(id.name)}`,
        `add the argument 'int ${name}'`,
      );
      known.add(name);
    }
  }
  return sound;
}

function checkKinds(
  shapes: readonly Signature['returns'][number]['shape'][],
  ints: readonly string[],
  report: Report,
): void {
  const kinds = new Map<Axis, Dimension['kind']>();
  for (const { dimensions, axes } of shapes) {
    for (const d of dimensions) {
      for (const axis of d.kind === 'split' ? d.axes : [d.axis]) {
        const before = kinds.get(axis);
        kinds.set(axis, before ?? d.kind);
        if (before === undefined || (before === 'fold') === (d.kind === 'fold')) continue;
        const { span } = axes.find(({ name }) => name === axis)!;
        const [now, then] = d.kind === 'fold' ? ['a fold', 'a plain axis'] : ['a plain axis', 'a fold'];
        report(
          'axis-kind',
          span,
          `${quoted(axis)} is ${now} here, and ${then} before`,
          `write '${d.kind === 'fold' ? '' : '*'}${axis}'`,
        );
      }
    }
  }
  for (const { axes } of shapes) {
    const fold = axes.find(({ name }) => ints.includes(name) && kinds.get(name) === 'fold');
    if (!fold) continue;
    report('axis-kind', fold.span, `${quoted(fold.name)} is a fold, so no int argument can be its size`);
    return;
  }
}

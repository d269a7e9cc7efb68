/** Whole specs at random: tensors over random axes, formulas from all functions and reductions, several returns. */
import * as fc from 'fast-check';

interface Typed {
  readonly text: string;
  readonly axes: readonly string[];
}

const allAxes = ['i', 'j', 'k'];
const axesArbitrary = fc.subarray(allAxes, { minLength: 1 });

/** Smooth almost everywhere, and finite for all arguments that the formulas below make. */
const unary = ['tanh', 'sigmoid', 'softplus', 'erf', 'sin', 'cos', 'relu', 'abs'].map(
  (fn) =>
    ({ text }: Typed): string =>
      `${fn}(${text})`,
);
const bounded = [
  ({ text }: Typed) => `exp(tanh(${text}))`,
  ({ text }: Typed) => `log(1.5 + sin(${text}))`,
  ({ text }: Typed) => `sqrt(1 + (${text}) ^ 2)`,
  ({ text }: Typed) => `1 / sqrt(0.5 + (${text}) ^ 2)`,
  ({ text }: Typed) => `(${text} > 0 ? ${text} : expm1(min(${text}, 0)))`,
  ({ text }: Typed) => `clamp(${text}, -1.25, 0.75)`,
  ({ text }: Typed) => `stop_gradient(${text})`,
];
const binary = [
  (a: string, b: string) => `${a} + ${b}`,
  (a: string, b: string) => `${a} - ${b}`,
  (a: string, b: string) => `(${a}) * (${b})`,
  (a: string, b: string) => `(${a}) / (1 + (${b}) ^ 2)`,
  (a: string, b: string) => `max(${a}, ${b})`,
];
const reductions = ['sum', 'mean', 'var', 'amax', 'amin', 'prod', 'mean'];

const union = (a: readonly string[], b: readonly string[]): string[] =>
  allAxes.filter((x) => a.includes(x) || b.includes(x));

/** A formula over the names in scope, `depth` operations deep. */
function formula(scope: readonly Typed[], depth: number): fc.Arbitrary<Typed> {
  const leaf = fc.constantFrom(...scope);
  if (depth === 0) return leaf;
  const inner = formula(scope, depth - 1);
  const apply = fc
    .tuple(inner, fc.constantFrom(...unary, ...bounded))
    .map(([x, fn]): Typed => ({ text: fn(x), axes: x.axes }));
  const combine = fc
    .tuple(inner, inner, fc.constantFrom(...binary))
    .map(([a, b, fn]): Typed => ({ text: `(${fn(a.text, b.text)})`, axes: union(a.axes, b.axes) }));
  const reduce = inner.chain((x) => {
    if (x.axes.length === 0) return fc.constant(x);
    return fc.tuple(fc.subarray([...x.axes], { minLength: 1 }), fc.constantFrom(...reductions)).map(
      ([over, fn]): Typed => ({
        text: `${fn}(${x.text}, ${over.join(', ')})`,
        axes: x.axes.filter((axis) => !over.includes(axis)),
      }),
    );
  });
  const centre = inner.chain((x) => {
    if (x.axes.length === 0) return fc.constant(x);
    return fc
      .subarray([...x.axes], { minLength: 1 })
      .map((over): Typed => ({ text: `(${x.text} - mean(${x.text}, ${over.join(', ')}))`, axes: x.axes }));
  });
  return fc.oneof(
    { weight: 3, arbitrary: apply },
    { weight: 4, arbitrary: combine },
    { weight: 4, arbitrary: reduce },
    centre,
  );
}

const tensorText = (name: string, axes: readonly string[]): string => `Tensor ${name}[${axes.join(', ')}]`;

/** One entry as YAML. */
export const entryArbitrary = (name: string): fc.Arbitrary<string> =>
  fc.array(axesArbitrary, { minLength: 2, maxLength: 3 }).chain((tensors) => {
    const scope = tensors.map((axes, i): Typed => ({ text: `x${i}`, axes }));
    return formula(scope, 2)
      .chain((middle) => {
        const named = { text: 'm', axes: middle.axes };
        return fc.tuple(fc.constant(middle), formula([...scope, named], 3), formula([...scope, named], 2));
      })
      .map(([middle, y, z]) => {
        const args = scope.map(({ text, axes }) => tensorText(text, axes)).join(', ');
        return [
          `- name: "${name}(${args}) -> (${tensorText('y', y.axes)}, ${tensorText('z', z.axes)})"`,
          '  generate: [forward, backward, jvp, double_backward]',
          `  wrt: [[x0]]`,
          '  forward:',
          `    m: "${middle.text}"`,
          `    y: "${y.text}"`,
          `    z: "${z.text}"`,
        ].join('\n');
      });
  });

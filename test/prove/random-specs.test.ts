/**
 * Random specs: the derivation against differences at 64 digits, and what is emitted against the interpreter. The
 * graph's normal form and all its rules are on the way, so a wrong rule shows here.
 */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { input } from '../../compiler/graph/build.ts';
import type { Expr } from '../../compiler/graph/expr.ts';
import { type Forward, lowerEntry } from '../../compiler/graph/formulas.ts';
import { arrange, interpret } from '../../compiler/graph/interpret.ts';
import { type Digits, decimal } from '../../compiler/prove/decimal.ts';
import { differentiable, gradientsOf, secondOf, tangentsOf } from '../../compiler/schedule/program.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';
import type { Entry } from '../../compiler/spec/spec.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';
import { callOf, randomLike, sizesOf } from '../compiler/calls.ts';
import { farthest } from '../compiler/near.ts';
import { randomOf } from '../compiler/random.ts';
import { compileSpec, interpreter, typescript32, typescript64, wasm, wgsl } from '../compiler/targets.ts';
import { entryArbitrary } from './random-specs.ts';

const seed = 20260101;

type Point = ReadonlyMap<Expr, readonly Digits[]>;

const sizes = new Map([
  ['i', 2],
  ['j', 3],
  ['k', 2],
]);
const lengthOf = (axes: readonly string[]): number => axes.reduce((n, axis) => n * sizes.get(axis)!, 1);
const number = decimal.number;

function evaluate(exprs: readonly Expr[], point: Point): Digits[][] {
  const bindings = {
    sizes,
    parameters: new Map<string, Digits>(),
    input: (node: Expr) => ({ axes: node.axes, data: point.get(node)! }),
  };
  return interpret(exprs, bindings, decimal).map((value) => [...value.data]);
}

/** Σ over all elements of the product of each pair of values, each over the axes of the second. */
function pairing(pairs: readonly (readonly [Expr, Expr])[], point: Point): Digits {
  const values = evaluate(pairs.flat(), point);
  return pairs.reduce((total, [, weight], i) => {
    const left = arrange({ axes: pairs[i]![0].axes, data: values[2 * i]! }, weight.axes, sizes).data;
    return left.reduce((sum, value, k) => sum.add(value.mul(values[2 * i + 1]![k]!)), total);
  }, number(0));
}

function drawPoint(nodes: readonly Expr[], of: string): Point {
  const random = randomOf(of);
  return new Map(
    nodes.map((node) => [node, Array.from({ length: lengthOf(node.axes) }, () => number(random.normal()))]),
  );
}

const step = number('1e-24' as unknown as number);

/** (f(p + h·d) − f(p − h·d)) / 2h, at 64 digits right to some 40. */
function difference(f: (point: Point) => Digits, point: Point, direction: Point): Digits {
  const moved = (sign: number): Point =>
    new Map(
      [...point].map(([node, data]) => {
        const d = direction.get(node);
        return [node, d ? data.map((value, i) => value.add(d[i]!.mul(step).mul(sign))) : data];
      }),
    );
  return f(moved(1))
    .sub(f(moved(-1)))
    .div(step.mul(2));
}

function near(actual: Digits, expected: Digits, what: string): void {
  const scale = expected.abs().add(1);
  assert.ok(actual.sub(expected).abs().div(scale).lt(1e-18), `${what}: ${actual} is not ${expected}`);
}

/** Without stops, through which differences see and gradients do not. */
const hasStop = (text: string): boolean => text.includes('stop_gradient');

function checkDerivation(entry: Entry): void {
  const forward: Forward = lowerEntry(entry, variantsOf(entry)[0]!);
  const wrt = differentiable(forward);
  const cts = forward.returns.map(({ name, axes, expr }) => [expr, input('cotangent', name, axes)] as const);
  const tangents = wrt.map(({ name, axes }) => input('tangent', name, axes));
  const seconds = wrt.map(({ name, axes }) => input('cotangent2', name, axes));
  const nodes = [...wrt.map(({ node }) => node), ...cts.map(([, ct]) => ct), ...tangents, ...seconds];
  const point = drawPoint(nodes, entry.name);
  const direction: Point = new Map(wrt.map(({ node }, i) => [node, point.get(tangents[i]!)!]));

  const slope = difference((p) => pairing(cts, p), point, direction);
  const gradients = [...gradientsOf(forward).values()];
  near(
    pairing(
      gradients.map((g, i) => [g, tangents[i]!]),
      point,
    ),
    slope,
    'reverse mode',
  );
  const moved = [...tangentsOf(forward).values()];
  near(
    pairing(
      moved.map((t, i) => [t, cts[i]![1]]),
      point,
    ),
    slope,
    'forward mode',
  );

  const inner = (p: Point): Digits =>
    pairing(
      gradients.map((g, i) => [g, seconds[i]!]),
      p,
    );
  const second = secondOf(
    forward,
    wrt.map(({ name }) => name),
  );
  const along = [...second.inputs.values()].map((g, i) => [g, tangents[i]!] as const);
  near(pairing(along, point), difference(inner, point, direction), 'double backward');
}

const random = suite('random specs');

random('the derivation agrees with differences at 64 digits', () => {
  let k = 0;
  fc.assert(
    fc.property(entryArbitrary('op'), (text) => {
      fc.pre(!hasStop(text));
      const { spec, diagnostics } = parseSpec(text.replace('op(', `op${k++}(`), 'random.yaml');
      assert.equal(diagnostics, []);
      checkDerivation(spec.entries[0]!);
    }),
    { seed, numRuns: 150 },
  );
});

random('what is emitted agrees with the interpreter', async () => {
  const entries = fc
    .sample(entryArbitrary('op'), { seed, numRuns: 16 })
    .map((text, i) => text.replace('op(', `op${i}(`));
  const compiled = await compileSpec(entries.join('\n'));
  const gpu = await wgsl();
  const problems: string[] = [];
  for (const entry of compiled.entries) {
    const forward = lowerEntry(entry, variantsOf(entry)[0]!);
    const wrt = differentiable(forward).map(({ name }) => name);
    for (const at of sizesOf(entry).filter(({ title }) => title === 'odd' || title === 'ones')) {
      const call = callOf(forward, at);
      const cotangents = randomLike(entry.returns, at, 'cotangents');
      const results = [];
      for (const target of [interpreter, typescript64, typescript32, wasm, gpu]) {
        const run = await startSession(target, compiled[target.of].get(entry.name)!, call);
        const gradients = await run.gradients(cotangents, wrt);
        results.push({ target, values: [...(await run.outputs()), ...gradients] });
        run.dispose();
      }
      const [expected, ...others] = results;
      for (const { target, values } of others) {
        for (const [i, [name, value]] of values.entries()) {
          const tolerance = target.dtype === 'f64' ? 1e-9 : 1e-4;
          const problem = farthest(value, expected!.values[i]![1], tolerance, 1);
          if (problem) problems.push(`${entry.name} ${at.title} ${target.name} ${name}: ${problem}`);
        }
      }
    }
  }
  compiled.dispose();
  assert.is(problems.join('\n'), '', entries.join('\n'));
});

random.run();

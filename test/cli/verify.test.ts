import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkDerivation } from '../../cli/verify/derivation.ts';
import { derivative } from '../../cli/verify/differences.ts';
import { convergenceOf, leastOrder } from '../../cli/verify/order.ts';
import { graphsOf, type Target } from '../../cli/verify/reference.ts';
import { sample } from '../../cli/verify/samples.ts';
import { add, input, mul, number } from '../../compiler/graph/build.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';
import { normgrad, rightClaim, scaled, temporaryFolder, wrongClaim } from './harness.ts';

const root = temporaryFolder();
function write(name: string, text: string): string {
  writeFileSync(join(root, name), text);
  return join(root, name);
}

interface Row {
  readonly variant: string;
  readonly direction: string;
  readonly pass: boolean;
  readonly targets: {
    readonly [name: string]: { readonly error: number; readonly pass: boolean; readonly failure?: string };
  };
}

test('a right spec on every target', async () => {
  const { status, out, err } = await normgrad(['verify', write('right.yaml', scaled(rightClaim)), '--json']);
  assert.is(status, 0, out);
  assert.match(err, /^wgsl on .+$/m);
  const { pass, rows } = JSON.parse(out) as { pass: boolean; rows: Row[] };
  assert.ok(pass);
  const backward = rows.find((row) => row.direction === 'backward' && row.variant === 'w twice')!;
  const columns = ['interpret', 'order', 'typescript f64', 'typescript f32', 'wasm f32', 'wgsl f32'];
  assert.equal(Object.keys(backward.targets), columns);
  for (const { error } of Object.values(backward.targets)) assert.ok(error < 1e-5);
  assert.is(rows.filter((row) => row.direction === 'gradients.x').length, 4);
});

test('a wrong claim is refuted where it is wrong', async () => {
  const file = write('wrong.yaml', scaled(wrongClaim));
  const { status, out, err } = await normgrad(['verify', file, '--target', 'interpret']);
  assert.is(status, 1);
  assert.match(err, /[12] failed/);
  assert.match(
    out,
    /^scaled \[w twice\] gradients\.x, claim: refuted: element \[.+\] at sizes .+ is -?[\d.]+ by derivation, -?[\d.]+ by the claim/m,
  );
  assert.match(out, /^scaled +w +gradients\.x .* ok$/m);
});

test('kinks, a logarithm, requirements on sizes and numbers, ops without gradients', async () => {
  const file = write(
    'odd.yaml',
    `# names in scope: x, p
- name: kinks(Tensor x[n, *s], Tensor p[n], *, float k = 0.5) -> Tensor y[n, *s]
  require:
    - {that: count(s) > 1, else: too few}
    - {that: k > 0, else: k must be positive}
  forward:
    y: relu(x) * log(p) + clamp(x, -k, k) + abs(x - amax(x, s))
- name: still(Tensor x[n]) -> Tensor y[n]
  non_differentiable: [x]
  forward:
    y: floor(x)
- name: nothing(Tensor x[n]) -> Tensor y[n]
  forward:
    y: sqrt(-1 - x ^ 2)
`,
  );
  const { status, out } = await normgrad(['verify', file, '--target', 'interpret,typescript']);
  assert.is(status, 1);
  for (const line of out.split('\n').filter((text) => /^(kinks|still) /.test(text)))
    assert.match(line, / ok$/);
  assert.match(out, /^nothing .*found no inputs/m);
});

test('what stop_gradient holds back is held still by differences', async () => {
  const file = write(
    'stop.yaml',
    `- name: stopped(Tensor x[n, c], Tensor g[n]) -> Tensor y[c]
  generate: [forward, backward, jvp, double_backward]
  forward:
    y: sum(x ^ 2 * stop_gradient(g * mean(x, c)) + g ^ 3 * x, n)
`,
  );
  const { status, out } = await normgrad(['verify', file, '--target', 'interpret,typescript']);
  assert.is(status, 0, out);
});

test('golden vectors: right ones, and one that is off', async () => {
  const spec = write('golden.yaml', scaled(rightClaim));
  const one = (y: number) => ({
    cases: [
      {
        id: 'by hand',
        shape: [1, 2],
        inputs: { x: [1, 2], w: null },
        outputs: { y: [3, y] },
        vjp: { dy: [1, 1], grads: { x: [4, 6] } },
        jvp: { tangents: { x: [1, 0] }, dy: [4, 0] },
        double_backward: { cotangents: { x: [1, 0] }, grads: { dy: [4, 0], x: [2, 0] } },
      },
    ],
  });
  for (const [y, expected] of [
    [8, 0],
    [8.1, 1],
  ] as const) {
    const golden = write('scaled.json', JSON.stringify(one(y)));
    const { status, out } = await normgrad([
      'verify',
      spec,
      '--target',
      'interpret,typescript',
      '--golden',
      golden,
    ]);
    assert.is(status, expected, out);
    assert.match(out, /^scaled +1 golden vectors +double_backward .* ok$/m);
    if (expected === 1) assert.match(out, /by hand, y.*element 1 is 8, expected 8\.1/);
  }
});

const vectors = { shape: [1, 2], inputs: { x: [1, 2] }, outputs: { y: [3, 8] } };
const golden = (value: unknown, ...more: string[]) =>
  normgrad([
    'verify',
    write('golden.yaml', scaled(rightClaim)),
    ...['--target', 'interpret', '--golden', write('scaled.json', JSON.stringify(value)), ...more],
  ]);

for (const [what, one, message] of [
  ['a misspelt member', { output: { y: [1] } }, "cases[0].output: unknown member; did you mean 'outputs'?"],
  ['an unknown input', { inputs: { x: [1], v: [1] } }, 'cases[0].inputs.v: unknown member; expected x, w'],
  ['an unknown return', { outputs: { z: [1] } }, 'cases[0].outputs.z: unknown member; '],
  ['nothing to check', { outputs: { y: null } }, 'cases[0]: nothing to check'],
  [
    'a double backward alone',
    { double_backward: { cotangents: { x: [1, 0] }, grads: { x: [2, 0] } } },
    'cases[0].double_backward: needs vjp beside it',
  ],
  ['no cotangents', { vjp: { grads: { x: [1, 1] } } }, "cases[0].vjp: nothing given of 'dy'"],
  ['no tangents of returns', { jvp: { tangents: { x: [1, 1] } } }, "cases[0].jvp: nothing given of 'dy'"],
  ['what is no number', { outputs: { y: [3, 'abc'] } }, 'cases[0].outputs.y[1] is "abc"; expected a number'],
  ['a number for a list', { inputs: { x: 5 } }, 'cases[0].inputs.x must be a list of numbers'],
  ['a text for an object', { outputs: 'abc' }, 'cases[0].outputs must be an object'],
  ['a number for an object', { vjp: 3 }, 'cases[0].vjp must be an object'],
  ['no shape', { shape: null }, 'cases[0].shape must be a list of sizes'],
  ['a list for an attribute', { k: [1] }, 'cases[0].k is [1]; expected a number, true or false'],
] as const) {
  test(`golden vectors with ${what} are refused`, async () => {
    const { status, out, err } = await golden({ cases: [{ ...vectors, ...one }] });
    assert.is(status, 1);
    assert.is(out, '');
    assert.ok(err.includes(`scaled.json: ${message}`), err);
  });
}

for (const [what, file, status, message] of [
  ['no cases', { cases: [] }, 1, 'cases must be a list with at least one'],
  ['a list', [vectors], 1, 'golden vectors are an object'],
  ['an op that is no name', { op: 3, cases: [vectors] }, 1, 'op must be the name of an op'],
  [
    'an unknown op',
    { op: 'scaed', cases: [vectors] },
    2,
    "of the op 'scaed', which the spec does not have; did",
  ],
  ['a misspelt member', { cases: [vectors], case: 1 }, 1, "case: unknown member; did you mean 'cases'?"],
] as const) {
  test(`a file of golden vectors with ${what} is refused`, async () => {
    const outcome = await golden(file);
    assert.is(outcome.status, status);
    assert.ok(outcome.err.includes(message), outcome.err);
  });
}

test('golden vectors with notes', async () => {
  const { status, err } = await golden({
    source: 'by hand',
    version: 2,
    cases: [{ ...vectors, note: 'small' }],
  });
  assert.is(status, 0, err);
});

test('golden vectors of another op than the only one that is asked for', async () => {
  const spec = write(
    'two.yaml',
    `${scaled(rightClaim)}- name: sq(Tensor x[n]) -> Tensor y[n]\n  forward: {y: x * x}\n`,
  );
  const file = write('scaled.json', JSON.stringify({ cases: [vectors] }));
  const { status, err } = await normgrad(['verify', spec, '--only', 'sq', '--golden', file]);
  assert.is(status, 2);
  assert.match(
    err,
    `is of the op 'scaled', as its name says, since it has no "op", and --only asks for 'sq'`,
  );
});

test('golden vectors of another length', async () => {
  const { status, out } = await golden({ cases: [{ ...vectors, outputs: { y: [3, 8, 1] } }] });
  assert.is(status, 1);
  assert.match(out, 'cases[0], y, layout n c: it has 2 elements, and the file 3\n');
});

test('golden vectors from PyTorch', async () => {
  const { status, out } = await normgrad([
    'verify',
    'derivatives.yaml',
    ...['--only', 'batch_norm', '--target', 'interpret', '--golden', 'test/golden/batch_norm.json'],
  ]);
  assert.is(status, 0, out);
});

test('difference quotients know when they do not settle', () => {
  const smooth = derivative((h) => [Math.sin(1 + h), Math.exp(h)], 1e-12);
  assert.ok(Math.abs(smooth.value[0]! - Math.cos(1)) < 1e-11 && Math.abs(smooth.value[1]! - 1) < 1e-11);
  assert.ok(derivative((h) => [Math.abs(h + 1e-6)], 1e-12).error > 1e-6);
});

/** What cancels to a constant or to zero, so that its derivatives are what rounding leaves. */
const constants = `- name: summed(Tensor x[n, d]) -> Tensor y[n]
  generate: [forward, backward, jvp, double_backward]
  forward:
    z: x - log(sum(exp(x), d))
    y: sum(exp(z), d)
- name: inverse(Tensor x[n, d]) -> Tensor y[n, d]
  generate: [forward, backward, jvp, double_backward]
  forward:
    y: log(exp(x)) - x + tanh(x) - (exp(2 * x) - 1) / (exp(2 * x) + 1)
- name: normalised(Tensor x[n, d]) -> Tensor y[n]
  generate: [forward, backward, jvp, double_backward]
  forward:
    v: mean(x ^ 2, d) - mean(x, d) ^ 2
    y: sum(((x - mean(x, d)) / sqrt(v)) ^ 2, d)
`;

test('ops whose outputs are constant', async () => {
  const { status, out } = await normgrad([
    ...['verify', write('constants.yaml', constants), '--target', 'interpret,typescript'],
  ]);
  assert.is(status, 0, out);
});

test('a mistake in what should be zero is not taken for rounding', () => {
  const { spec } = parseSpec(constants, 'constants.yaml');
  for (const entry of spec.entries) {
    const graphs = graphsOf(entry, variantsOf(entry)[0]!);
    const found = sample(graphs.forward, 'small', entry.name, 0)!;
    const wrong = (targets: readonly Target[]): Target[] =>
      targets.map((target) => {
        if (target.name !== 'x') return target;
        const more = mul(number(1e-6), input('input', 'x', target.axes));
        return { ...target, expr: add(target.expr, more) };
      });
    const mistaken = { ...graphs, gradients: wrong(graphs.gradients), second: wrong(graphs.second) };
    const failing = checkDerivation(mistaken, found, true).filter(({ error }) => error > 1e-6);
    assert.ok(failing.some(({ what }) => what === 'backward'));
    assert.ok(convergenceOf(mistaken, found).some(({ order }) => order < leastOrder));
    assert.ok(convergenceOf(graphs, found).every(({ order }) => order >= leastOrder));
  }
});

test.run();

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { normgrad, rightClaim, scaled, temporaryFolder } from './harness.ts';

const spec = join(temporaryFolder(), 'spec.yaml');
writeFileSync(spec, `${scaled(rightClaim)}  layouts: [[n, c], [c, n]]\n`);

interface Answer {
  readonly id?: unknown;
  readonly outputs?: { readonly [name: string]: readonly (number | string)[] };
  readonly gradients?: { readonly [name: string]: readonly number[] };
  readonly tangents?: { readonly [name: string]: readonly number[] };
  readonly second?: { readonly [name: string]: readonly number[] };
  readonly error?: { readonly code: string; readonly message: string };
}

const run = (cases: readonly unknown[], ...options: string[]) =>
  runOf('scaled', cases, '--spec', spec, ...options);

async function runOf(op: string, cases: readonly unknown[], ...options: string[]): Promise<Answer[]> {
  const input = JSON.stringify({ op, cases });
  const { status, out, err } = await normgrad(['run', '-', ...options], { input });
  assert.is(status, 0, err);
  return (JSON.parse(out) as { cases: Answer[] }).cases;
}

const x = { shape: [2, 3], data: [1, -2, 3, 0.5, 4, -1] };
const full = {
  id: 'full',
  inputs: { x, w: { shape: [3], data: [1, 2, 3] } },
  attributes: { twice: true },
  cotangents: { y: [1, 0, 2, -1, 3, 1] },
  tangents: { x: [1, 0, 0, 0, 0, 1] },
  cotangents2: { x: [1, 1, 0, 0, 2, 0], w: [0, 1, 0] },
};
// y = 4 x w + Σ x² over n: by hand
const expected = {
  outputs: { y: [4 + 1.25, -16 + 20, 36 + 10, 2 + 1.25, 32 + 20, -12 + 10] },
  gradients: { x: [4 + 0, -12, 24 + 18, -4 + 0, 24 + 24, 12 - 6], w: [4 * (1 - 0.5), 4 * 12, 4 * (6 - 1)] },
  tangents: { y: [4 + 2, 0, -2, 2, 0, 12 - 2] },
};

const v = full.cotangents2.x;
// 4 w v_x + Σₙ 2 x v_x + 4 x v_w
const gradY = [0, 1, 2, 3, 4, 5].map((i) => {
  const c = i % 3;
  const sum = 2 * (x.data[c]! * v[c]! + x.data[c + 3]! * v[c + 3]!);
  return 4 * [1, 2, 3][c]! * v[i]! + sum + 4 * x.data[i]! * full.cotangents2.w[c]!;
});

const targets = [
  ['interpret', 'f64', 1e-12],
  ['typescript', 'f64', 1e-12],
  ['typescript', 'f32', 1e-5],
  ['wasm', 'f32', 1e-5],
  ['wgsl', 'f32', 1e-5],
] as const;

for (const [target, dtype, tolerance] of targets) {
  for (const layout of ['n c', 'c n']) {
    test(`every direction on ${target} in ${dtype}, layout ${layout}`, async () => {
      const [answer] = await run([full], '--target', target, '--dtype', dtype, '--layout', layout);
      assert.is(answer!.error, undefined);
      assert.is(answer!.id, 'full');
      for (const part of ['outputs', 'gradients', 'tangents'] as const)
        for (const [name, values] of Object.entries(expected[part]))
          near(answer![part]![name] as number[], values, tolerance);
      // Σ⟨v, gradients⟩ = Σ v_x (4 w g + 2 x Σg) + Σ v_w 4 Σ(g x): its derivatives by hand
      near(answer!.second!.w!, [4 * 1, 4 * (0 + 6), 0], tolerance);
      near(answer!.second!.x!, [2 * 0 * 1, 2 * 3 * 1 + 4 * 0, 0, 4 * 0, 2 * 3 * 2 + 4 * 3, 0], tolerance);
      near(answer!.second!.grad_y!, gradY, tolerance);
    });
  }
}
function near(found: readonly number[], wanted: readonly number[], tolerance: number): void {
  assert.is(found.length, wanted.length);
  const scale = Math.max(1, ...wanted.map(Math.abs));
  for (const [i, value] of wanted.entries())
    assert.ok(Math.abs(found[i]! - value) <= tolerance * scale, `${i}: ${found} is not ${wanted}`);
}

test('NaN and infinities both ways', async () => {
  const data = ['NaN', 1, '-Infinity', 1, 1, 'Infinity'];
  const [answer] = await run([{ inputs: { x: { shape: [2, 3], data } } }]);
  assert.equal(answer!.outputs!.y, ['NaN', 2 + 2, 'NaN', 'NaN', 2 + 2, 'Infinity']);
  assert.not.ok('id' in answer!);
});

test('wrt, and cotangents that are left out', async () => {
  const [one, none] = await run([
    { ...full, wrt: ['w'], tangents: null, cotangents2: undefined },
    { ...full, cotangents: {}, tangents: {}, cotangents2: {} },
  ]);
  assert.equal(Object.keys(one!.gradients!), ['w']);
  assert.not.ok('tangents' in one! || 'second' in one!);
  assert.equal(none!.gradients!.w, [0, 0, 0]);
  assert.equal(none!.tangents!.y, [0, 0, 0, 0, 0, 0]);
  assert.equal(none!.second!.grad_y, [0, 0, 0, 0, 0, 0]);
});

test('the double backward whatever gradients are asked for, and what other cases ask for', async () => {
  const few = { ...full, inputs: { x }, cotangents2: { x: full.cotangents2.x } };
  const answers = await run([full, { ...full, wrt: ['x'], cotangents2: null }, few]);
  assert.equal(
    answers.map(({ error, second }) => error ?? Object.keys(second ?? {}).sort()),
    [['grad_y', 'w', 'x'], [], ['grad_y', 'x']],
  );
  const listing = join(temporaryFolder(), 'listing.yaml');
  writeFileSync(listing, `${scaled(rightClaim)}  wrt: [[x, w], [x]]\n`);
  const [answer] = await run([full], '--spec', listing);
  assert.equal(answer!.second, answers[0]!.second);
});

for (const [what, broken, code, message] of [
  ['no object', 5, 'type', 'a case is an object'],
  ['an unknown key', { input: {} }, 'unknown-name', "did you mean 'inputs'?"],
  ['a missing input', { inputs: {} }, 'missing', 'missing input x'],
  ['an unknown input', { inputs: { x, v: x } }, 'unknown-name', "unknown input 'v'; expected x, w"],
  [
    'data of another length',
    { inputs: { x: { shape: [2, 2], data: [1] } } },
    'shape',
    'x has shape [2,2], 4 elements, but 1',
  ],
  ['no number', { inputs: { x: { shape: [1, 1], data: ['x'] } } }, 'type', 'inputs.x.data[0] is "x"'],
  ['nested data', { inputs: { x: { shape: [1, 1], data: [[1]] } } }, 'type', 'one flat list'],
  [
    'shapes that disagree',
    { inputs: { x, w: { shape: [2], data: [1, 2] } } },
    'shape',
    'w has shape [2], which does not fit w[c], c = 3 from x',
  ],
  ['an unknown attribute', { inputs: { x }, attributes: { q: 1 } }, 'unknown-name', 'expected twice, k'],
  [
    'an attribute of another type',
    { inputs: { x }, attributes: { k: true } },
    'type',
    'k must be of type float',
  ],
  [
    'an attribute that is a list',
    { inputs: { x }, attributes: { k: [1] } },
    'type',
    'attributes.k is [1]; expected a number, true or false',
  ],
  ['an unknown cotangent', { inputs: { x }, cotangents: { z: [1] } }, 'unknown-name', 'expected y'],
  ['a cotangent of another length', { inputs: { x }, cotangents: { y: [1] } }, 'shape', 'y has 6 elements'],
  [
    'a cotangent of another shape',
    { inputs: { x }, cotangents: { y: { shape: [3, 2], data: x.data } } },
    'shape',
    'scaled: the cotangent of y has shape [3,2], expected [2,3]',
  ],
  [
    'a tangent of another shape',
    { inputs: { x }, tangents: { x: { shape: [6], data: x.data } } },
    'shape',
    'the tangent of x has shape [6], expected [2,3]',
  ],
  ['an unknown wrt and no cotangents', { inputs: { x }, wrt: ['q'] }, 'unknown-name', 'expected x, w'],
  ['an unknown wrt', { inputs: { x }, cotangents: {}, wrt: ['q'] }, 'unknown-name', 'expected x, w'],
  ['a wrt not given', { inputs: { x }, cotangents: {}, wrt: ['w'] }, 'missing', 'w was not given'],
  ['cotangents2 alone', { inputs: { x }, cotangents2: { x: x.data } }, 'missing', 'needs cotangents'],
] as const) {
  test(`a case with ${what}, beside one that runs`, async () => {
    const [bad, good] = await run([broken, { inputs: { x } }], '--target', 'interpret');
    assert.is(bad!.error!.code, code);
    assert.ok(bad!.error!.message.includes(message), bad!.error!.message);
    assert.not.ok('outputs' in bad!);
    assert.ok(good!.outputs!.y);
  });
}

const still = join(temporaryFolder(), 'still.yaml');
writeFileSync(
  still,
  `- name: optional(Tensor? w[n], Tensor s[n]) -> (Tensor y[n], Tensor z[])
  absent: {w: 2}
  non_differentiable: [s]
  forward: {y: w * s, z: "sum(s, n)"}
- name: constant(Tensor x[n]) -> Tensor y[n]
  output_differentiability: [false]
  forward: {y: x}
`,
);
const two = { shape: [2], data: [3, 4] };

for (const target of ['interpret', 'typescript']) {
  test(`derivatives where nothing moves, on ${target}`, async () => {
    const options = ['--spec', still, '--target', target];
    const asked = { cotangents: { y: [1, 1] }, tangents: {}, cotangents2: {} };
    const [none, wrong, length, one] = await runOf(
      'optional',
      [
        { inputs: { s: two }, ...asked },
        { inputs: { s: two }, ...asked, wrt: ['w'] },
        { inputs: { s: two }, cotangents: { y: [1] } },
        { inputs: { s: two, w: two }, ...asked },
      ],
      ...options,
    );
    assert.equal(none, {
      outputs: { y: [6, 8], z: [7] },
      gradients: {},
      tangents: { y: [0, 0], z: [0] },
      second: { grad_y: [0, 0], grad_z: [0] },
    });
    assert.match(wrong!.error!.message, 'optional: w was not given, so it has no gradient');
    assert.is(length!.error!.message, 'optional: y has 2 elements, but 1 were given');
    assert.equal(one!.gradients, { w: [3, 4] });
    const inputs = { x: two };
    const tangents = { x: [1, 1] };
    const cases = [
      { inputs, cotangents: {}, tangents, cotangents2: tangents },
      { inputs, cotangents: { y: [1, 1] } },
    ];
    const [fixed, unknown] = await runOf('constant', cases, ...options);
    assert.equal(fixed, {
      outputs: { y: [3, 4] },
      gradients: { x: [0, 0] },
      tangents: {},
      second: { x: [0, 0] },
    });
    assert.match(unknown!.error!.message, "unknown cotangent 'y'; expected none");
  });
}

const grouped = join(temporaryFolder(), 'grouped.yaml');
writeFileSync(
  grouped,
  ['', ' = 2']
    .map(
      (value, i) =>
        `- name: op_${i}(Tensor x[(g k)], *, int g${value}) -> Tensor y[g]\n  forward: {y: "sum(x, k)"}\n`,
    )
    .join(''),
);
const four = { x: { shape: [4], data: [1, 2, 3, 4] } };

test('the size that splits a dimension, and its default', async () => {
  const cases = [{ inputs: four }, { inputs: four, attributes: { g: 4 } }];
  for (const target of ['interpret', 'typescript']) {
    const answers = await runOf('op_1', cases, '--spec', grouped, '--target', target);
    assert.equal(
      answers.map(({ outputs }) => outputs?.y),
      [
        [3, 7],
        [1, 2, 3, 4],
      ],
    );
  }
});

test('an op without tensors has the type that was asked for', async () => {
  const file = join(temporaryFolder(), 'ramp.yaml');
  writeFileSync(file, '- name: ramp(*, int n, float a) -> Tensor y[n]\n  forward: {y: a}\n');
  const cases = [{ inputs: {}, attributes: { n: 2, a: 0.1 } }];
  for (const [target, value] of [
    ['interpret', 0.1],
    ['typescript', 0.1],
    ['wasm', Math.fround(0.1)],
  ] as const) {
    const [answer] = await runOf('ramp', cases, '--spec', file, '--target', target);
    assert.equal(answer!.outputs?.y, [value, value]);
  }
});

for (const [g, message] of [
  [undefined, 'cannot tell the sizes of g and k from x[(g k)]; the attribute g (int) was not given'],
  [2.5, 'attribute g must be a size (int), not the number 2.5'],
  ['2', 'attribute g must be a size (int), not the string "2"'],
  [-2, 'attribute g must be a size (int), not the number -2'],
  [3, 'x has shape [4], which does not fit x[(g k)], g = 3 from the call'],
] as const) {
  test(`a split by ${JSON.stringify(g)}`, async () => {
    const [answer] = await runOf('op_0', [{ inputs: four, attributes: { g } }], '--spec', grouped);
    assert.is(answer!.error?.message, `op_0: ${message}`);
  });
}

test('answers have their tensors in the order of the signature, whatever the target', async () => {
  const reversed = {
    ...full,
    inputs: { w: full.inputs.w, x },
    cotangents2: { w: full.cotangents2.w, x: full.cotangents2.x },
    wrt: ['w', 'x'],
  };
  for (const target of ['interpret', 'typescript', 'wasm']) {
    const [answer] = await run([reversed], '--target', target);
    assert.equal(Object.keys(answer!.gradients!), ['x', 'w']);
    assert.equal(Object.keys(answer!.second!), ['grad_y', 'x', 'w']);
  }
});

for (const [input, message] of [
  ['{"op": "scaled",\n "cases": [1, }', 'standard input:2:15: this is not JSON: expected a value'],
  ['{"op": "scaled", "cases": []} x', ':1:31: this is not JSON: expected nothing more'],
  ['', ':1:1: this is not JSON'],
  ['[]', 'a request is an object'],
  ['{"op": "scaled"}', '"cases" must be a list'],
  ['{"op": "sclaed", "cases": []}', "did you mean 'scaled'?"],
  ['{"op": "scaled", "cases": [], "layout": 1}', "a request has no 'layout'"],
] as const) {
  test(`the request ${input}`, async () => {
    const { status, out, err } = await normgrad(['run', '-', '--spec', spec], { input });
    assert.is(status, 1);
    assert.is(out, '');
    assert.ok(err.includes(message), err);
  });
}

test('what is not UTF-8 is refused, with its place', async () => {
  const input = new Uint8Array([...new TextEncoder().encode('{"op":\n "é'), 0xc3, 0x22]);
  const { status, err } = await normgrad(['run', '-', '--spec', spec], { input });
  assert.is(status, 1);
  assert.is(err, 'normgrad: standard input:2:4: this is not text in UTF-8\n');
});

test.run();

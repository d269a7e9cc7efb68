/** The compiler as a library: in a bundle for browsers, and for derivatives of an order that no command has. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  compile,
  decimal,
  differentiable,
  float64,
  formatDiagnostic,
  formula,
  input,
  interpret,
  jvp,
  lowerEntry,
  parseSpec,
  variantsOf,
  vjp,
} from '../../compiler/index.ts';
import { temporaryFolder } from '../cli/harness.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** A module for browsers runs here once nothing of Node is left to find. */
const browser = `
for (const name of ['process', 'Buffer', 'global', 'setImmediate', 'clearImmediate']) delete globalThis[name];
const { compile } = await import('./compiler.js');
const { diagnostics, files } = await compile(text, { file: 'derivatives.yaml', only: 'rms_norm' });
console.log(JSON.stringify({ diagnostics, files: [...files] }));
`;

test('bundled for browsers, it compiles to the same bytes', async () => {
  const outdir = temporaryFolder();
  await build({
    entryPoints: { compiler: join(root, 'compiler/index.ts') },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    external: ['node:module'], // binaryen asks for it in Node alone
  });
  writeFileSync(join(outdir, 'package.json'), '{"type": "module"}');
  const text = JSON.stringify(read('derivatives.yaml'));
  writeFileSync(join(outdir, 'program.js'), `const text = ${text};${browser}`);
  const printed = execFileSync('node', [join(outdir, 'program.js')], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const { diagnostics, files } = JSON.parse(printed) as {
    diagnostics: unknown[];
    files: [string, string][];
  };
  assert.equal(diagnostics, []);
  const own = files.filter(([path]) => path.startsWith('rms_norm/'));
  for (const extension of ['.ts', '.wasm.ts', '.wgsl', '.json'])
    assert.ok(
      own.some(([path]) => path.endsWith(extension)),
      extension,
    );
  for (const [path, content] of own) assert.is(content, read(`generated/${path}`), path);
});

test('mistakes are values, and nothing is compiled', async () => {
  const text = '- name: f(Tensor x[n]) -> Tensor y[n]\n  forward: {y: xx + 1}\n';
  const { diagnostics, files } = await compile(text, { file: 'a.yaml' });
  assert.is(files.size, 0);
  assert.match(formatDiagnostic(diagnostics[0]!, text, 'a.yaml'), /^a.yaml:2:16: error\[unknown-name\]/);
});

const parsed = parseSpec(
  '- name: f(Tensor x[n], Tensor w[]) -> Tensor y[]\n  forward:\n    y: w * sum(x ^ 4, n)\n',
  'f',
);
const [entry] = parsed.spec.entries;
const forward = lowerEntry(entry!, variantsOf(entry!)[0]!);
const [x, w] = differentiable(forward).map(({ node }) => node);
const y = forward.returns[0]!.expr;
const values = new Map([
  ['x', { axes: ['n'], data: [1, 2, -3] }],
  ['w', { axes: [], data: [0.5] }],
  ['u', { axes: ['n'], data: [3, -1, 2] }],
]);
const bindings = {
  sizes: new Map([['n', 3]]),
  parameters: new Map(),
  input: ({ of }: { of: string }) => values.get(of)!,
};

test('orders that no command has', () => {
  const along = new Map([[x!, input('tangent', 'u', ['n'])]]);
  let derivative = [y];
  for (let order = 0; order < 3; order++) derivative = jvp(derivative, along);
  const third = derivative[0]!;
  // Σ 24 w x u³
  const [value] = interpret([third], bindings, float64);
  assert.is(value!.data[0], 0.5 * 24 * (1 * 27 + 2 * -1 + -3 * 8));
  const [mixed] = vjp([[third, input('cotangent', 'ct', [])]], [w!]);
  assert.is(formula(mixed!), '24 * grad_ct * sum(x * u_t ^ 3, n)');
});

test('a value that does not fit is named', () => {
  const of = (changed: object) => () => interpret([y], { ...bindings, ...changed }, float64);
  assert.throws(of({ sizes: new Map() }), 'axis n has no size');
  assert.throws(
    of({ sizes: new Map([['n', 4]]) }),
    'the input x over [n] has 3 values where its axes have 4',
  );
  assert.throws(of({ input: () => undefined }), /the input [xw] has no value/);
});

test('64 digits', () => {
  const exact = new Map(
    [...values].map(([name, { axes, data }]) => [name, { axes, data: data.map(decimal.number) }]),
  );
  const third = decimal.div(decimal.number(1), decimal.number(3));
  exact.set('w', { axes: [], data: [third] });
  const [value] = interpret([y], { ...bindings, input: ({ of }) => exact.get(of)! }, decimal);
  assert.match(value!.data[0]!.toString(), /^32\.6{60}/);
});

test.run();

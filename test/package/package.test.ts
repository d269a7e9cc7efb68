/** The package as published: packed, unpacked into an empty project, run, and used from TypeScript. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../cli/harness.ts';
import { strictness } from './strictness.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const project = temporaryFolder();
const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** What `npm install` of the tarball does, without a network: the package's own dependencies and no others. */
function install(): void {
  const packing = ['pack', '--json', '--pack-destination', project];
  const packed = execFileSync('npm', packing, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('[\n')));
  const own = join(project, 'node_modules', 'normgrad');
  mkdirSync(own, { recursive: true });
  run('tar', '-xzf', filename, '-C', own, '--strip-components=1');
  const { dependencies } = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) {
    const link = join(project, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
}

const consumer = `import { cpu } from 'normgrad/runtime';
import { rms_norm } from './generated/index.ts';

const device = cpu();
const x = device.tensor([1, 2], [3, 4]);
const run = device.runSync(rms_norm, { x }, { eps: 0 });
const { x: dx } = run.backward({ y: device.tensor([1, 2], [1, 0]) }, ['x']);
console.log(JSON.stringify([[...(await run.outputs.y.read())], [...(await dx.read())]]));
`;

/** The third derivative of y = w Σ x⁴ along u: 24 w Σ x u³. */
const library = `import { float64, formula, input, interpret, jvp, lowerEntry, parseSpec, variantsOf } from 'normgrad/compiler';

const text = '- name: f(Tensor x[n], Tensor w[]) -> Tensor y[]\\n  forward:\\n    y: w * sum(x ^ 4, n)';
const { spec } = parseSpec(text, 'spec.yaml');
const entry = spec.entries[0]!;
const { returns } = lowerEntry(entry, variantsOf(entry)[0]!);
const along = new Map([[input('input', 'x', ['n']), input('tangent', 'u', ['n'])]]);
let derivative = returns.map(({ expr }) => expr);
for (let order = 0; order < 3; order++) derivative = jvp(derivative, along);
const values = new Map([['x', [1, 2]], ['u', [3, -1]], ['w', [0.5]]]);
const [value] = interpret(derivative, {
  sizes: new Map([['n', 2]]),
  parameters: new Map(),
  input: ({ of, axes }) => ({ axes, data: values.get(of)! }),
}, float64);
console.log(JSON.stringify([formula(derivative[0]!), value!.data[0]]));
`;

test('installed, it builds a spec whose output type-checks and runs', () => {
  install();
  // bundlers and minifiers would have to follow what the runtime imports as it runs
  const runtime = join(project, 'node_modules/normgrad/dist/runtime');
  const modules = readdirSync(runtime).filter((file) => file.endsWith('.js'));
  assert.ok(modules.length > 10);
  for (const file of modules) assert.not.match(readFileSync(join(runtime, file), 'utf8'), /\bimport\(/, file);
  cpSync(join(root, 'derivatives.yaml'), join(project, 'derivatives.yaml'));
  writeFileSync(join(project, 'package.json'), '{"type": "module"}');
  writeFileSync(join(project, 'consumer.ts'), consumer);
  writeFileSync(join(project, 'library.ts'), library);
  run('node', 'node_modules/normgrad/bin/normgrad.js', 'build', '--only', 'rms_norm');
  assert.ok(existsSync(join(project, 'generated/rms_norm/index.ts')));
  const options = ['--noEmit', '--module', 'nodenext', '--target', 'es2022', '--declaration'];
  const types = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'];
  const strict = strictness.map((option) => `--${option}`);
  const compiler = join(root, 'node_modules/.bin/tsc');
  run(compiler, ...options, ...types, ...strict, 'consumer.ts', 'library.ts');
  const program = (file: string) =>
    JSON.parse(run('node', '--import', join(root, 'node_modules/tsx/dist/loader.mjs'), file));
  const [y, dx] = program('consumer.ts');
  // y = x / r with r² = (9 + 16) / 2; dy₀/dx = (1/r, 0) − x₀ x / 2r³
  const r = Math.sqrt(12.5);
  const expected = [
    [3 / r, 4 / r],
    [1 / r - 9 / (2 * r ** 3), -12 / (2 * r ** 3)],
  ];
  for (const [i, row] of [y, dx].entries())
    for (const [k, value] of row.entries()) assert.ok(Math.abs(value - expected[i]![k]!) < 1e-6);
  assert.equal(program('library.ts'), ['24 * w * sum(x * u_t ^ 3, n)', 0.5 * 24 * (27 - 2)]);
});

test.run();

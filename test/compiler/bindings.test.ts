/** Entries of many tensors on a device that allows a kernel no more buffers than every device does. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../cli/device.ts';
import { type Engine, startSession } from '../../cli/session.ts';
import { lowerEntry } from '../../compiler/graph/formulas.ts';
import type { TensorArgument } from '../../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../../compiler/spec/variants.ts';
import { webgpu } from '../../runtime/index.ts';
import { callOf, randomLike, sizesOf } from './calls.ts';
import type { OpManifest } from './manifest.ts';
import { farthest } from './near.ts';
import { compileSpec, everyDirection, generating, typescript64 } from './targets.ts';

const few = 8;
const names = Array.from({ length: 12 }, (_, i) => `p${i + 1}`);
const wide = names.slice(0, 10);
const text = `
- name: parameters(Tensor x[n, c], ${names.map((p) => `Tensor? ${p}[c]`).join(', ')}) -> (Tensor y[n, c], Tensor z[c])
  together: [[${names.join(', ')}]]
  absent: {${names.map((p) => `${p}: 1`).join(', ')}}
  forward:
    y: x * p1 + p2 * p3 + sin(x * p4) + p5 - p6 * mean(x, n) + p7 * x ^ 2
    z: sum(tanh(x * p8 * p9 + p10), n) + p11 * p12
- name: returns(Tensor x[n, c], Tensor y[n, c]) -> (Tensor a[c], Tensor b[c], Tensor d[c], Tensor f[c], Tensor g[c], Tensor h[c], Tensor i[c], Tensor j[c], Tensor k[c], Tensor l[n, c], Tensor m[n, c])
  forward:
    a: sum(x, n)
    b: mean(y, n)
    d: amax(x * y, n)
    f: var(x, n)
    g: sum(x * y, n)
    h: sum(x ^ 2 * y, n)
    i: 2 * a + b
    j: sum(tanh(y), n)
    k: d * f
    l: x - a
    m: y * k
- name: states(Tensor x[n, c], Tensor(a!) s[c], Tensor(b!) t[c], Tensor(d!) u[c], Tensor(f!) v[c], float rate = 0.5) -> (Tensor y[n, c], Tensor z[c])
  forward:
    y: (x - mean(x, n)) * s + t
    z: sum(x * u, n)
  update:
    s: s + rate * mean(x, n)
    t: t + rate * var(x, n)
    u: u + rate * z
    v: v + rate * amax(x, n)
- name: whole(${wide.map((p) => `Tensor ${p}[n, c]`).join(', ')}) -> (Tensor y[n, c], Tensor z[c], Tensor top[n])
  wrt: [[${wide.join(', ')}]]
  forward:
    y: "(p1 * p2 + sin(p3) * p4) / (2 + p5 ^ 2) - p6 * tanh(p7 * p8) + (p9 > p10 ? p1 : p2 * p9) + p7 / (1 + p10 ^ 2)"
    z: sum(p1 * p2 * p3 + p4 * p5 * p6 + p7 * p8 * p9 * p10, n) + var(p1 + p2 + p3 + p4 + p5 + p6 + p7 + p8 + p9 + p10, n)
    top: amax(p1 - p2 + p3 - p4 + p5 - p6 + p7 - p8 + p9 - p10, c)
- name: extents(Tensor x[n, c, s], Tensor w[n, c, s], Tensor p[n], Tensor q[c], Tensor r[s], Tensor t[n, c], Tensor u[c, s], Tensor v[n, s], Tensor k[]) -> (Tensor y[n, c, s], Tensor z[n, s])
  wrt: [[x, w, p, q, r, t, u, v, k]]
  forward:
    y: (x * p + q) * t - u * (v + r * w) / (1 + k ^ 2) + q * r * exp(-t ^ 2)
    z: sum((x - mean(x, n)) * q * t * u * v + w * p * r * k, c) + k * amax(x * q + u * v + r - p * t, c)
`;
const compiled = await compileSpec(generating(text, everyDirection), { targets: ['typescript', 'wgsl'] });

/** A device that says that it was requested without limits. */
async function limited(): Promise<Engine> {
  const { device } = await openDevice();
  const limits = new Proxy(device.limits, {
    get: (all, key) => (key === 'maxStorageBuffersPerShaderStage' ? few : Reflect.get(all, key, all)),
  });
  Object.defineProperty(device, 'limits', { value: limits });
  return { device: webgpu(device), dtype: 'f32' };
}

const test = suite('bindings');
const engine = await limited();
for (const entry of compiled.entries) {
  test(`${entry.name}: no kernel binds more than eight buffers, and results are right`, async () => {
    const manifest = JSON.parse(compiled.files.get(`${entry.name}/manifest.json`)!) as OpManifest;
    for (const [name, { bindings }] of Object.entries(manifest.kernels.wgsl))
      assert.ok(bindings.length <= few, `${name} binds ${bindings}`);
    const op = compiled.ops.get(entry.name)!;
    for (const variant of variantsOf(entry)) {
      for (const sizes of sizesOf(entry)) {
        const call = callOf(lowerEntry(entry, variant), sizes);
        const [actual, exact] = [
          await startSession(engine, op, call),
          await startSession(typescript64, op, call),
        ];
        const cotangents = randomLike(
          entry.returns.filter((r) => r.differentiable),
          sizes,
          'bindings',
        );
        const compare = (a: ReadonlyMap<string, readonly number[]>, b: typeof a): void => {
          for (const [id, expected] of b) {
            const wrong = farthest(a.get(id)!, expected, 1e-4, 1e-3);
            assert.not(wrong, `${variantKey(entry, variant)} ${sizes.title} ${id}${wrong}`);
          }
        };
        compare(await actual.outputs(), await exact.outputs());
        compare(await actual.gradients(cotangents), await exact.gradients(cotangents));
        // the kernels of the other directions are many
        if (sizes.title === 'odd' || sizes.title === 'even') {
          const inputs = entry.arguments.filter(
            (a) => a.kind === 'tensor' && a.differentiable && call.inputs.has(a.name),
          ) as TensorArgument[];
          const tangents = randomLike(inputs, sizes, 'tangents');
          compare(await actual.tangents(tangents), await exact.tangents(tangents));
          compare(await actual.second(cotangents, tangents), await exact.second(cotangents, tangents));
        }
        for (const session of [actual, exact]) session.dispose();
      }
    }
  });
}

test.run();

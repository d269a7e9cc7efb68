/** Batch norm against PyTorch's own numbers: every direction, on every target and in every layout. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CallInputs, startSession } from '../../cli/session.ts';
import { farthest, type Numbers } from './near.ts';
import { compileSpec, interpreter, type Target, typescript32, typescript64, wasm, wgsl } from './targets.ts';

/** `null` is a tensor that is not given. */
type Named = { readonly [name: string]: Numbers | null };

interface Case {
  readonly id: string;
  readonly shape: readonly number[];
  readonly training: boolean;
  readonly momentum: number;
  readonly eps: number;
  readonly inputs: Named;
  readonly outputs: Named;
  readonly vjp: { readonly dy: Numbers; readonly grads: Named };
  readonly jvp?: { readonly tangents: Named; readonly dy: Numbers };
  readonly double_backward?: { readonly cotangents: Named; readonly grads: Named };
}

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const { cases } = JSON.parse(read('../golden/batch_norm.json')) as { cases: readonly Case[] };
const compiled = await compileSpec(read('../../derivatives.yaml'), { only: 'batch_norm' });

/** A case as a call. Float32 targets are given what PyTorch was given, rounded. */
function callOf({ shape, training, momentum, eps, inputs }: Case): CallInputs {
  const shaped = [...mapOf(inputs)].map(
    ([name, data]) => [name, { shape: name === 'x' ? shape : [shape[1]!], data }] as const,
  );
  return { inputs: new Map(shaped), attributes: { training, momentum, eps } };
}

const mapOf = (named: Named): Map<string, Numbers> =>
  new Map(Object.entries(named).flatMap(([name, data]) => (data ? [[name, data] as const] : [])));

function matches(
  actual: ReadonlyMap<string, Numbers>,
  expected: Named,
  tolerance: number,
  what: string,
): void {
  for (const [name, numbers] of mapOf(expected)) {
    const found = actual.get(name);
    assert.ok(found, `${what} has no ${name}`);
    const wrong = farthest(found, numbers, tolerance);
    assert.not(wrong, `${what} ${name}${wrong}`);
  }
}

async function check(
  target: Target,
  layout: string,
  golden: Case,
  first: number,
  second: number,
): Promise<void> {
  const session = await startSession(target, compiled[target.of].get('batch_norm')!, callOf(golden), layout);
  matches(await session.outputs(), golden.outputs, first, 'forward');
  const { vjp, jvp, double_backward: double } = golden;
  const cotangent = new Map([['y', vjp.dy]]);
  matches(await session.gradients(cotangent), vjp.grads, first, 'gradient of');
  if (jvp) matches(await session.tangents(mapOf(jvp.tangents)), { y: jvp.dy }, first, 'tangent of');
  if (double) {
    const { dy, ...grads } = double.grads;
    const found = await session.second(cotangent, mapOf(double.cotangents));
    matches(found, dy ? { ...grads, grad_y: dy } : grads, second, 'second gradient of');
  }
  session.dispose();
}

const targets = [
  [interpreter, 1e-9, 1e-9],
  [typescript64, 1e-9, 1e-9],
  [typescript32, 2e-5, 1e-4],
  [wasm, 2e-5, 1e-4],
  [await wgsl(), 2e-5, 1e-4],
] as const;
for (const [target, first, second] of targets) {
  for (const layout of ['n c s', 'n s c']) {
    const test = suite(`golden, ${target.name}, ${layout}`);
    for (const golden of cases) test(golden.id, () => check(target, layout, golden, first, second));
    test.run();
  }
}

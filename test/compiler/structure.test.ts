/** How much work the kernels of the shipped ops do: reductions and traffic, as the manifest says and as they do it. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { lowerEntry } from '../../compiler/graph/formulas.ts';
import type { Variant } from '../../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../../compiler/spec/variants.ts';
import type { Numbers } from '../../runtime/description.ts';
import type { CpuKernelDescription, OpDescription } from '../../runtime/index.ts';
import { launchesOf } from '../../runtime/launch.ts';
import { type DeviceShape, shapeOf } from '../../runtime/model.ts';
import { callOf, randomLike, type Sizes } from './calls.ts';
import { readManifest, sequencesOf, workOf } from './manifest.ts';
import { compileSpec, typescript64 } from './targets.ts';

const text = readFileSync(new URL('../../derivatives.yaml', import.meta.url), 'utf8');
const compiled = await compileSpec(text, { file: 'derivatives.yaml' });
const ops = compiled.entries.map(({ name }) => name);
const manifestOf = (op: string) => readManifest(compiled.files, op);
const targets = ['wgsl', 'wasm', 'typescript'] as const;
const test = suite('structure');

/** Whether a variant computes statistics of its input. */
const isTraining = (op: string, variant: string): boolean =>
  !(op.startsWith('batch_norm') || op === 'instance_norm') ||
  op.endsWith('with_stats') ||
  /training|use_input_stats/.test(variant);

test('batch norm: two reductions, two reads, one write in training', () => {
  for (const target of targets) {
    for (const { variant, layout, direction, wrt } of sequencesOf(manifestOf('batch_norm'), target)) {
      if (!variant.includes('training')) continue;
      const work = workOf(manifestOf('batch_norm'), target, { variant, layout, direction, wrt });
      const where = `${target} ${variant} ${layout} ${direction} ${wrt}`;
      assert.is(work.passes, 1, where);
      if (direction === 'forward') {
        assert.equal([work.reads, work.writes], [{ x: 2 }, { y: 1 }], where);
        assert.equal(
          work.reductions.map(({ op, of }) => `${op} of ${of}`),
          ['mean and var of x'],
          where,
        );
      }
      if (direction === 'backward' && wrt.split(' ').includes('x')) {
        assert.equal([work.reads, work.writes], [{ grad_y: 2, x: 2 }, { dx: 1 }], where);
        assert.is(work.reductions.length, 2, where);
      }
      if (direction === 'double_backward') {
        assert.equal(work.reads, { grad_y: 2, v_x: 2, x: 2 }, where);
        assert.equal(work.writes, { second_grad_y: 1, second_x: 1 }, where);
        assert.is(work.reductions.length, 5, where);
      }
      if (direction === 'jvp') assert.equal([work.reads, work.writes], [{ x: 2, x_t: 2 }, { y_t: 1 }], where);
    }
  }
});

test('batch norm with frozen statistics: dx alone needs neither x nor a reduction', () => {
  for (const target of targets) {
    const frozen = sequencesOf(manifestOf('batch_norm'), target).filter(
      (s) => !s.variant.includes('training'),
    );
    for (const s of frozen.filter(({ direction, wrt }) => direction === 'backward' && wrt === 'x')) {
      const { reads, writes, reductions, dispatches } = workOf(manifestOf('batch_norm'), target, s);
      assert.equal([reads, writes, reductions, dispatches], [{ grad_y: 1 }, { dx: 1 }, [], 1], s.variant);
    }
    for (const s of frozen.filter(({ direction }) => direction === 'forward')) {
      const { reads, writes, reductions, dispatches } = workOf(manifestOf('batch_norm'), target, s);
      assert.equal([reads, writes, reductions, dispatches], [{ x: 1 }, { y: 1 }, [], 1], s.variant);
    }
  }
});

/** A GPU and the vectors of a CPU, with the limits that every device has. */
const limits = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupStorageSize: 16384,
};
const [gpu, vectors] = [shapeOf(limits, 32), shapeOf(limits, 4)];

/** How many dispatches a direction takes for these sizes. */
function dispatchesOf(
  op: string,
  variant: string,
  direction: string,
  numbers: Numbers,
  shape: DeviceShape,
): number {
  const [layout] = Object.values(compiled.ops.get(op)!.variants[variant]!.layouts);
  const { gpu: kernels } = direction === 'forward' ? layout!.forward : layout!.backward[direction]!;
  return kernels!.flatMap((kernel) => launchesOf(kernel, shape, numbers)).length;
}

test('layer norm: one dispatch where rows are many, another one for partial results of few long ones', () => {
  for (const shape of [gpu, vectors]) {
    const many = { n: 4096, d: 768, eps: 1e-5 };
    for (const variant of ['', 'weight', 'bias', 'weight bias']) {
      assert.is(dispatchesOf('layer_norm', variant, 'forward', many, shape), 1, variant);
      assert.is(dispatchesOf('layer_norm', variant, 'x', many, shape), 1, variant);
      assert.is(
        dispatchesOf('layer_norm', variant, 'forward', { n: 1, d: 1e6, eps: 1e-5 }, shape),
        2,
        variant,
      );
    }
  }
});

test('in WebAssembly what reads the same data goes through it together', () => {
  const moduleOf = (op: string): string => compiled.files.get(`${op}/backward.wasm.ts`)!;
  for (const [op, count] of [
    ['layer_norm', 3],
    ['rms_norm', 1],
  ] as const) {
    // for a reduction down columns the rows of each unit are mapped first
    const beside = /^ +if 0 < has_beside:\n +reduce_\d+ \+ finish_\d+ \+ map_\d+ from unit/gm;
    assert.is(moduleOf(op).match(beside)?.length, count, op);
  }
  // what has nothing to do with the map is summed after it
  assert.match(
    moduleOf('instance_norm'),
    /: dweight, dbias, dx by reduce_\d+ \+ finish_\d+ \+ map_\d+, then/,
  );
});

test('in WebAssembly kept indices are cut into strips where they are not outermost in memory', () => {
  const stripsOf = (op: string): boolean[] =>
    Object.values(manifestOf(op).phases).flatMap(({ routines, strips }) =>
      Object.keys(routines ?? {}).some((name) => name.startsWith('map')) ? [strips !== undefined] : [],
    );
  assert.ok(stripsOf('batch_norm').includes(true)); // with channels first
  for (const op of ['group_norm', 'layer_norm', 'rms_norm']) {
    assert.ok(stripsOf(op).length > 0, op);
    assert.not(stripsOf(op).includes(true), op);
  }
});

test('batch norm in training: one dispatch where channels fill the device or are small, or all data is', () => {
  const variants = ['', 'weight ', 'bias ', 'weight bias '].flatMap((given) =>
    ['', 'running_mean running_var '].map((state) => `${given}${state}training`),
  );
  const small = [
    { n: 1, c: 64, s: 10_000 },
    { n: 64, c: 768, s: 1 },
    { n: 2, c: 2, s: 2 },
  ];
  for (const variant of variants) {
    const wrt = ['x', 'weight', 'bias'].filter((name) => name === 'x' || variant.includes(name)).join(' ');
    for (const direction of ['forward', 'x', wrt]) {
      const count = (sizes: Numbers, shape: DeviceShape): number =>
        dispatchesOf('batch_norm', variant, direction, { ...sizes, eps: 1e-5, momentum: 0.1 }, shape);
      for (const shape of [gpu, vectors])
        for (const sizes of small) assert.is(count(sizes, shape), 1, `${variant}: ${direction}`);
      // partial results take a ninth buffer beside all of the others, and so a dispatch of their own
      const isFull = variant === 'weight bias running_mean running_var training' && direction === 'forward';
      const most = isFull || direction === 'x weight bias' ? 3 : 2;
      assert.is(count({ n: 2, c: 3, s: 262_144 }, gpu), most, `${variant}: ${direction}`);
    }
  }
});

for (const op of ops) {
  test(`${op}: no more reads, writes and reductions than its statistics need`, () => {
    for (const target of targets) {
      for (const s of sequencesOf(manifestOf(op), target)) {
        if (s.direction !== 'forward' && s.direction !== 'backward') continue;
        const work = workOf(manifestOf(op), target, s);
        const where = `${op} ${target} ${JSON.stringify(s)}: ${JSON.stringify(work)}`;
        const hasX = s.wrt.split(' ').includes('x');
        // vectors read the data once more where they reduce along rows and along columns
        const most = isTraining(op, s.variant) && (hasX || s.direction === 'forward') ? 2 : 1;
        const isAcross = new Set(work.reductions.map(({ over }) => String(over))).size > 1;
        const reads = target !== 'typescript' && isAcross ? most + 1 : most;
        for (const count of Object.values(work.reads)) assert.ok(count <= reads, where);
        for (const count of Object.values(work.writes)) assert.is(count, 1, where);
        if (s.direction === 'forward') assert.ok(work.dispatches <= 2, where);
        if (s.wrt === 'x') {
          const expected = !isTraining(op, s.variant) ? 0 : op === 'rms_norm' ? 1 : 2;
          assert.is(work.reductions.length, expected, where);
        }
      }
    }
  });

  test(`${op}: forward saves nothing as large as the data, and kernels bind few buffers`, () => {
    const { bindings, kernels } = manifestOf(op);
    const full = Object.values(bindings).find(({ name, role }) => name === 'x' && role === 'input')!;
    for (const binding of Object.values(bindings)) {
      const isSmall = binding.axes.length < full.axes.length;
      assert.ok(binding.role !== 'saved' || isSmall, `${binding.name} [${binding.axes}] is saved`);
      assert.ok(binding.role !== 'scratch' || isSmall, `${binding.name} [${binding.axes}] is scratch`);
    }
    for (const [name, kernel] of Object.entries(kernels.wgsl))
      assert.ok(kernel.bindings.length <= 8, `${name} binds ${kernel.bindings.length} buffers`);
  });
}

/** An array that counts how often its elements are read and written. */
function counting(data: Float64Array): { array: Float64Array; counts: { reads: number; writes: number } } {
  const counts = { reads: 0, writes: 0 };
  const isElement = (key: string | symbol): key is string => typeof key === 'string' && /^\d+$/.test(key);
  const array = new Proxy(data, {
    get: (target, key) => {
      if (isElement(key)) counts.reads++;
      return Reflect.get(target, key, target);
    },
    set: (target, key, value) => {
      if (isElement(key)) counts.writes++;
      return Reflect.set(target, key, value, target);
    },
  });
  return { array, counts };
}

/** The op with kernels that run over counting arrays and report what they counted. */
function counted(
  op: OpDescription,
  report: (kernel: string, binding: string, k: Counts) => void,
): OpDescription {
  const wrap = (kernel: CpuKernelDescription): CpuKernelDescription => ({
    ...kernel,
    run: (...args: never[]) => {
      const given = args as (Float64Array | number | undefined)[];
      // what a call does not pass is undefined
      const arrays = kernel.bindings.map((_, i) =>
        given[i] instanceof Float64Array ? counting(given[i]) : undefined,
      );
      const rest = given.slice(arrays.length);
      (kernel.run as (...a: unknown[]) => void)(...arrays.map((one) => one?.array), ...rest);
      for (const [i, one] of arrays.entries()) {
        const { name } = kernel.bindings[i]!;
        if (one) report(kernel.name, name, { ...one.counts, length: one.array.length });
      }
    },
  });
  const change = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(change);
    if (typeof value !== 'object' || value === null) return value;
    if ('run' in value) return wrap(value as CpuKernelDescription);
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, change(v)]));
  };
  return { ...op, variants: change(op.variants) as OpDescription['variants'] };
}

interface Counts {
  readonly reads: number;
  readonly writes: number;
  readonly length: number;
}

for (const entry of compiled.entries) {
  test(`${entry.name}: TypeScript kernels touch what the manifest says`, async () => {
    const manifest = manifestOf(entry.name);
    const sizes: Sizes = {
      title: 'counting',
      of: new Map(entry.axes.map((axis, i) => [axis, [6, 5, 40][i] ?? 7])),
      folds: new Map(entry.axes.map((axis, i) => [axis, [[6, 5, 40][i] ?? 7]])),
    };
    const wrong: string[] = [];
    const op = counted(compiled.ops.get(entry.name)!, (name, binding, { reads, writes, length }) => {
      const kernel = manifest.kernels.typescript[name]!;
      const isFull = Object.values(manifest.bindings).some(
        (b) => b.name === binding && b.axes.length === entry.axes.length,
      );
      if (!isFull) return;
      // a first element each, which moments are taken about, where they are summed and where they are finished
      const extra = reads - (kernel.reads?.[binding] ?? 0) * length;
      const said = `${reads} reads and ${writes} writes of ${length}, not ${JSON.stringify(kernel.reads)}`;
      if (extra < 0 || extra > length / 3) wrong.push(`${name} ${binding}: ${said}`);
      if (writes !== (kernel.writes?.[binding] ?? 0) * length) wrong.push(`${name} ${binding}: ${said}`);
    });
    for (const variant of variantsOf(entry)) for (const layout of entry.layouts) await run(variant, layout);
    assert.equal(wrong, []);

    async function run(variant: Variant, layout: readonly string[]): Promise<void> {
      const call = callOf(lowerEntry(entry, variant), sizes);
      const session = await startSession(typescript64, op, call, layout.join(' '));
      const cotangents = randomLike(
        entry.returns.filter((r) => r.differentiable),
        sizes,
        'counting',
      );
      const backward = Object.values(op.variants[variantKey(entry, variant)]!.layouts)[0]!.backward;
      for (const wrt of Object.keys(backward)) await session.gradients(cotangents, wrt.split(' '));
    }
  });
}

test.run();

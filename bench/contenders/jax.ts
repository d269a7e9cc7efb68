/** jax-js: the formulas in its numpy, compiled by `jit`; gradients by `vjp`. In Node its wasm has one thread. */
import { type Case, channelsOf, eps, groups, isRowwise, physicalShape } from '../cases.ts';
import { assemble, numbered, type Prepared, type Team, timeAsync, timeQueued, turn } from '../contender.ts';
import type { Data } from '../data.ts';
import { importPeer, versionOf } from '../peers.ts';

/** An array is used up by what takes it; `ref` keeps it for one more use. */
interface Array_ {
  readonly ref: Array_;
  reshape(shape: readonly number[]): Array_;
  sub(other: Array_): Array_;
  mul(other: Array_): Array_;
  add(other: Array_ | number): Array_;
  mean(axes: readonly number[], options: { keepdims: boolean }): Array_;
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}
type Many = readonly Array_[];
type Function_ = (...args: Many) => Array_;
type Functions = (...args: Many) => Many;
type Pull = ((ct: Array_) => Many) & { dispose?(): void };

interface Jax {
  init(...devices: string[]): Promise<readonly string[]>;
  defaultDevice(device: string): unknown;
  readonly numpy: {
    array(data: Float32Array, options: { shape: readonly number[] }): Array_;
    square(x: Array_): Array_;
    sqrt(x: Array_): Array_;
    reciprocal(x: Array_): Array_;
  };
  jit<F extends Function_ | Functions>(f: F): F & { dispose?(): void };
  vjp(f: Function_, primals: Many): readonly [Array_, Pull];
  vjp(f: Functions, primals: Many): readonly [Many, (ct: Many) => Many];
  blockUntilReady(arrays: Many): Promise<unknown>;
}

export function loadJax(device: 'wasm' | 'webgpu'): Promise<Team> {
  const name = `jax-js ${device}`;
  const versions = () => [`jax-js ${versionOf('@jax-js/jax')}`];
  return assemble(name, versions, async () => {
    const jax = await importPeer<Jax>('@jax-js/jax');
    if (!(await jax.init(device)).includes(device)) throw new Error(`its ${device} backend does not start`);
    jax.defaultDevice(device);
    return [
      {
        name,
        side: 'peer',
        unit: device === 'webgpu' ? 'gpu' : 'cpu',
        threads: device === 'webgpu' ? 'all' : 'one',
        cannot: () => undefined,
        prepare: (row, data) => prepare(jax, device, row, data),
      },
    ];
  });
}

interface View {
  /** The data as a tensor in which `over` are the dimensions of a statistic. */
  readonly shape: readonly number[];
  readonly over: readonly number[];
  /** Weight and bias, and frozen statistics, to broadcast over it. */
  readonly channels: readonly number[];
}

function viewOf(row: Case): View {
  const shape = physicalShape(row);
  const [n, c, ...space] = row.shape as readonly [number, number, ...number[]];
  const ones = space.map(() => 1);
  const after = (first: number, length: number) => Array.from({ length }, (_, i) => first + i);
  if (isRowwise(row.op)) return { shape, over: [1], channels: [1, c] };
  if (row.op === 'group_norm')
    return {
      shape: [n, groups, c / groups, ...space],
      over: after(2, 1 + space.length),
      channels: [1, groups, c / groups, ...ones],
    };
  if (row.op === 'instance_norm') return { shape, over: after(2, space.length), channels: [1, c, ...ones] };
  return row.layout === 'first'
    ? { shape, over: [0, ...after(2, space.length)], channels: [1, c, ...ones] }
    : { shape, over: after(0, 1 + space.length), channels: [...shape.slice(0, -1).map(() => 1), c] };
}

/** The forward of x, weight, bias and, frozen, the statistics. It keeps no running statistics, which is less work. */
function forwardOf({ numpy: np }: Jax, row: Case, { over, channels }: View): Function_ {
  const keepdims = { keepdims: true };
  return (x, weight, bias, mean, variance) => {
    const isPlain = row.op === 'rms_norm';
    const centre = row.training
      ? isPlain
        ? undefined
        : x!.ref.mean(over, keepdims)
      : mean!.reshape(channels);
    const c = centre ? x!.sub(centre) : x!;
    const v = row.training ? np.square(c.ref).mean(over, keepdims) : variance!.reshape(channels);
    const scaled = c.mul(np.reciprocal(np.sqrt(v.add(eps)))).mul(weight!.reshape(channels));
    return isPlain ? scaled : scaled.add(bias!.reshape(channels));
  };
}

/** Each task as a function of the inputs, dy and what else it needs; it uses up what it is given. */
function functionsOf(jax: Jax, row: Case, view: View) {
  const forward = forwardOf(jax, row, view);
  const wrt = ['x', 'weight', 'bias'].flatMap((name, i) => (row.wrt.includes(name) ? [i] : []));
  /** The forward as a function of what is differentiated. */
  const partial =
    (inputs: Many): Function_ =>
    (...some) => {
      const all = [...inputs];
      for (const [i, place] of wrt.entries()) all[place] = some[i]!;
      return forward(...all);
    };
  const step: Functions = (dy, ...inputs) => {
    const [y, pull] = jax.vjp(
      partial(inputs),
      wrt.map((i) => inputs[i]!),
    );
    return [y, ...pull(dy!)];
  };
  const gradients: Functions = (dy, ...inputs) => {
    const [y, ...rest] = step(dy!, ...inputs) as [Array_, ...Array_[]];
    y.dispose();
    return rest;
  };
  const double: Functions = (dy, x, weight, bias, ...cotangents2) => {
    const [first, pull] = jax.vjp(gradients, [dy!, x!, weight!, bias!]);
    for (const array of first) array.dispose();
    return pull(cotangents2).slice(0, 3);
  };
  return { forward: jax.jit(forward), partial, step: jax.jit(step), double: jax.jit(double), wrt };
}

async function prepare(jax: Jax, device: string, row: Case, data: readonly Data[]): Promise<Prepared> {
  const view = viewOf(row);
  const large = (array: Float32Array) => jax.numpy.array(array, { shape: view.shape });
  const small = (array: Float32Array) => jax.numpy.array(array, { shape: [channelsOf(row)] });
  const isDouble = row.task === 'double backward';
  const sets = data.map((set) => ({
    inputs: [
      large(set.x),
      small(set.weight),
      ...(row.op === 'rms_norm' ? [] : [small(set.bias)]),
      ...(row.training ? [] : [small(set.running_mean), small(set.running_var)]),
    ],
    dy: large(set.dy),
    cotangents2: isDouble ? [large(set.v_x), small(set.v_weight), small(set.v_bias)] : [],
  }));
  const again = (arrays: Many) => arrays.map((array) => array.ref);
  const functions = functionsOf(jax, row, view);
  // Backward alone is what `vjp` leaves of a compiled forward; it can be called again and again.
  const pulls =
    row.task === 'backward' ? sets.map(({ inputs }) => pullOf(jax, functions, again(inputs))) : [];
  const run = (i: number): Many => {
    const { inputs, dy, cotangents2 } = turn(sets, i);
    if (row.task === 'forward') return [functions.forward(...again(inputs))];
    if (row.task === 'backward') return turn(pulls, i)(dy.ref);
    if (row.task === 'step') return functions.step(dy.ref, ...again(inputs));
    return functions.double(dy.ref, ...again(inputs), ...again(cotangents2));
  };
  const drop = (arrays: Many) => {
    for (const array of arrays) array.dispose();
  };
  const next = numbered(run);
  const finished = async () => {
    const arrays = next();
    await jax.blockUntilReady(arrays);
    drop(arrays);
  };
  const timeOnGpu = async (count: number) => {
    // Arrays are computed lazily: one that is dropped before its turn is never computed.
    const kept: Array_[] = [];
    const ms = await timeQueued(
      count,
      () => void kept.push(...next()),
      () => jax.blockUntilReady(kept),
    );
    drop(kept);
    return ms;
  };
  return {
    results: async () => {
      const results = new Map<string, ArrayLike<number>>();
      const arrays = run(0);
      for (const [i, array] of arrays.entries()) results.set(namesOf(row)[i]!, await array.data());
      return results;
    },
    time: (count) => (device === 'webgpu' ? timeOnGpu(count) : timeAsync(count, finished)),
    dispose: () => {
      for (const { inputs, dy, cotangents2 } of sets) drop([...inputs, dy, ...cotangents2]);
      for (const pull of pulls) pull.dispose?.();
      for (const f of [functions.forward, functions.step, functions.double]) f.dispose?.();
    },
  };
}

function pullOf(jax: Jax, { partial, wrt }: ReturnType<typeof functionsOf>, inputs: Many): Pull {
  const forward = jax.jit(partial(inputs));
  const [y, pull] = jax.vjp(
    forward,
    wrt.map((i) => inputs[i]!),
  );
  y.dispose();
  return pull;
}

function namesOf({ task, wrt }: Case): readonly string[] {
  if (task === 'forward') return ['y'];
  const gradients = wrt.map((name) => `d${name}`);
  if (task === 'double backward') return ['grad_y', 'x', 'weight'];
  return task === 'step' ? ['y', ...gradients] : gradients;
}

/**
 * An op written by hand as the code generator would describe it, small but with everything that the runtime handles:
 *
 *     scale(Tensor x[n, (g k), *s], Tensor? weight[k], Tensor(a!)? total[g], Tensor(b!)? calls[g],
 *           *, int g, bool training, float factor = 1)
 *       -> (Tensor y[n, (g k), *s], Tensor energy[g], Tensor sums[g])
 *
 *     sums = sum(x, n, k, s);  energy = sums^2;  y = x * weight * factor
 *     in training: total += sums;  calls += 1
 */
import type {
  BindingDescription,
  CpuKernelDescription,
  GpuKernelDescription,
  LayoutDescription,
  Numbers,
  OpDescription,
  Role,
  UniformDescription,
  VariantDescription,
} from '../../runtime/index.ts';

export interface ScaleTypes {
  readonly tensors: { x: 'required'; weight: 'optional'; total: 'optional'; calls: 'optional' };
  readonly attributes: { readonly g?: number; readonly training: boolean; readonly factor?: number };
  readonly returns: 'y' | 'energy' | 'sums';
  readonly differentiableReturns: 'y' | 'energy';
  readonly differentiable: 'x' | 'weight';
  readonly layouts: 'n g k s' | 'n s g k' | 'n s k g';
}

const axes = ['n', 'g', 'k', 's'];
const layouts = [axes, ['n', 's', 'g', 'k'], ['n', 's', 'k', 'g']];
const full = [{ axes: ['n'] }, { axes: ['g', 'k'] }, { axes: ['s'], fold: true }] as const;
const perGroup = [{ axes: ['g'] }];

type Variant = { readonly weight: boolean; readonly total: boolean; readonly training: boolean };
type Array = Float32Array | Float64Array;

const uniforms: readonly UniformDescription[] = [
  ...axes.map((name) => ({ name, type: 'u32' }) as const),
  { name: 'factor', type: 'f32' },
];
const elements = (n: Numbers) => n.n! * n.g! * n.k! * n.s!;

/** Writes bindings compactly: `'input x'` is read, `'>output y'` written, `'+state total'` both. */
function bindings(order: readonly string[], ...written: string[]): BindingDescription[] {
  return written.map((text) => {
    const access = text[0] === '>' ? 'write' : text[0] === '+' ? 'read_write' : 'read';
    const [role, of] = text.replace(/^[>+]/, '').split(' ') as [Role, string];
    const isFull = ['x', 'y'].includes(of);
    const binding = { name: `${role}_${of}`, role, of, access } as const;
    if (role === 'scratch') return { ...binding, axes: [], length: (n: Numbers) => n.n! * n.k! };
    return { ...binding, axes: isFull ? order : of === 'weight' ? ['k'] : ['g'] };
  });
}

/** The position of element i along an axis, as WGSL and as a function. */
const indexWgsl = (order: readonly string[], axis: string) => {
  const later = order.slice(order.indexOf(axis) + 1).map((a) => `p.${a}`);
  return `(i / (${['1u', ...later].join(' * ')})) % p.${axis}`;
};
const indexOf = (order: readonly string[], axis: string, n: Numbers) => {
  const stride = order.slice(order.indexOf(axis) + 1).reduce((product, a) => product * n[a]!, 1);
  return (i: number) => Math.floor(i / stride) % n[axis]!;
};

/** A WGSL kernel of one thread an element of its space, from the statements for index i. */
function gpu(
  name: string,
  used: readonly BindingDescription[],
  count: string,
  kept: (n: Numbers) => number,
  body: string,
): GpuKernelDescription {
  const buffers = used.map(
    (b, i) =>
      `@group(0) @binding(${i}) var<storage, ${b.access === 'read' ? 'read' : 'read_write'}> ${b.name}: array<f32>;`,
  );
  const wgsl = `
struct Params { n: u32, g: u32, k: u32, s: u32, factor: f32 }
${buffers.join('\n')}
@group(0) @binding(${used.length}) var<uniform> p: Params;
override width: u32;
override together: u32;
@compute @workgroup_size(together)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * nwg.x) * together + lid;
  if (i >= ${count}) { return; }
  ${body}
}`;
  const source = new URL(`data:text/plain,${encodeURIComponent(wgsl)}`);
  return {
    name,
    source,
    entryPoint: 'main',
    bindings: used,
    uniforms,
    tiles: { kept, over: () => 1 },
  };
}

function cpu(
  name: string,
  used: readonly BindingDescription[],
  body: (arrays: Array[], n: Numbers) => void,
): CpuKernelDescription {
  const run = (...args: (Array | number)[]) => {
    const arrays = args.slice(0, used.length) as Array[];
    const values = args.slice(used.length) as number[];
    body(arrays, Object.fromEntries(uniforms.map((u, i) => [u.name, values[i]!])));
  };
  return { name, run, bindings: used, uniforms };
}

function forward(order: readonly string[], { weight, training }: Variant) {
  const states = training ? ['+state total', '+state calls'] : [];
  const sums = bindings(order, 'input x', '>output energy', '>output sums', '>saved doubled', ...states);
  const apply = bindings(order, 'input x', '>output y', ...(weight ? ['input weight'] : []));
  const g = indexWgsl(order, 'g');
  return {
    gpu: [
      gpu(
        'sums',
        sums,
        'p.g',
        (n) => n.g!,
        `
  let group = i;
  var sum = 0.0;
  for (var i = 0u; i < p.n * p.g * p.k * p.s; i++) { if (${g} == group) { sum += input_x[i]; } }
  output_sums[i] = sum; output_energy[i] = sum * sum; saved_doubled[i] = 2.0 * sum;
  ${training ? 'state_total[i] += sum; state_calls[i] += 1.0;' : ''}`,
      ),
      gpu(
        'apply',
        apply,
        'p.n * p.g * p.k * p.s',
        elements,
        `output_y[i] = input_x[i] * p.factor${weight ? ` * input_weight[${indexWgsl(order, 'k')}]` : ''};`,
      ),
    ],
    cpu: [
      cpu('sums', sums, ([x, energy, sum, doubled, total, calls], n) => {
        const group = indexOf(order, 'g', n);
        sum!.fill(0);
        x!.forEach((value, i) => {
          sum![group(i)]! += value;
        });
        sum!.forEach((value, i) => {
          energy![i] = value * value;
          doubled![i] = 2 * value;
          if (total) total[i]! += value;
          if (calls) calls[i]! += 1;
        });
      }),
      cpu('apply', apply, ([x, y, w], n) => {
        const channel = indexOf(order, 'k', n);
        x!.forEach((value, i) => {
          y![i] = value * n.factor! * (w ? w[channel(i)]! : 1);
        });
      }),
    ],
  };
}

function backwardX(order: readonly string[], { weight }: Variant) {
  const used = bindings(
    order,
    'cotangent y',
    'cotangent energy',
    'saved doubled',
    'saved sums',
    '>gradient x',
    ...(weight ? ['input weight'] : []),
  );
  return {
    gpu: gpu(
      'dx',
      used,
      'p.n * p.g * p.k * p.s',
      elements,
      `
  let g = ${indexWgsl(order, 'g')};
  gradient_x[i] = cotangent_y[i] * p.factor${weight ? ` * input_weight[${indexWgsl(order, 'k')}]` : ''}
    + (0.5 * saved_doubled[g] + saved_sums[g]) * cotangent_energy[g];`,
    ),
    cpu: cpu('dx', used, ([dy, de, doubled, sums, dx, w], n) => {
      const [group, channel] = [indexOf(order, 'g', n), indexOf(order, 'k', n)];
      dy!.forEach((value, i) => {
        const g = group(i);
        dx![i] = value * n.factor! * (w ? w[channel(i)]! : 1) + (doubled![g]! / 2 + sums![g]!) * de![g]!;
      });
    }),
  };
}

/** In two kernels, partials over n between them. */
function backwardWeight(order: readonly string[]) {
  const partial = bindings(order, 'input x', 'cotangent y', '>scratch partial');
  const finish = bindings(order, 'scratch partial', '>gradient weight');
  const [inN, inK] = [indexWgsl(order, 'n'), indexWgsl(order, 'k')];
  return {
    gpu: [
      gpu(
        'dw_partial',
        partial,
        'p.n * p.k',
        (n) => n.n! * n.k!,
        `
  let mine = i;
  var sum = 0.0;
  for (var i = 0u; i < p.n * p.g * p.k * p.s; i++) {
    if ((${inN}) * p.k + ${inK} == mine) { sum += input_x[i] * cotangent_y[i]; }
  }
  scratch_partial[i] = sum;`,
      ),
      gpu(
        'dw',
        finish,
        'p.k',
        (n) => n.k!,
        `
  var sum = 0.0;
  for (var n = 0u; n < p.n; n++) { sum += scratch_partial[n * p.k + i]; }
  gradient_weight[i] = sum * p.factor;`,
      ),
    ],
    cpu: [
      cpu('dw_partial', partial, ([x, dy, sums], n) => {
        const [batch, channel] = [indexOf(order, 'n', n), indexOf(order, 'k', n)];
        x!.forEach((value, i) => {
          sums![batch(i) * n.k! + channel(i)]! += value * dy![i]!;
        });
      }),
      cpu('dw', finish, ([sums, dw], n) => {
        dw!.fill(0);
        sums!.forEach((value, i) => {
          dw![i % n.k!]! += value * n.factor!;
        });
      }),
    ],
  };
}

/** Without weight, on the CPU alone: what is under test is how tensors are bound by role. */
function higher(order: readonly string[]): Pick<LayoutDescription, 'jvp' | 'double_backward'> {
  const jvp = bindings(order, 'tangent x', 'saved doubled', '>output_tangent y', '>output_tangent energy');
  const second = bindings(
    order,
    'cotangent energy',
    'cotangent2 x',
    'saved doubled',
    '>second_cotangent y',
    '>second_cotangent energy',
    '>second x',
  );
  return {
    jvp: {
      cpu: [
        cpu('jvp', jvp, ([xt, doubled, yt, et], n) => {
          const group = indexOf(order, 'g', n);
          xt!.forEach((value, i) => {
            yt![i] = value * n.factor!;
            et![group(i)]! += doubled![group(i)]! * value;
          });
        }),
      ],
    },
    double_backward: {
      x: {
        cpu: [
          cpu('second', second, ([de, v, doubled, dyt, det, dx], n) => {
            const group = indexOf(order, 'g', n);
            const sums = new Float64Array(n.g!);
            v!.forEach((value, i) => {
              sums[group(i)]! += value;
              dyt![i] = value * n.factor!;
              det![group(i)]! += doubled![group(i)]! * value;
            });
            v!.forEach((_, i) => {
              dx![i] = 2 * de![group(i)]! * sums[group(i)]!;
            });
          }),
        ],
      },
    },
  };
}

function layout(order: readonly string[], variant: Variant): LayoutDescription {
  const x = backwardX(order, variant);
  const weight = backwardWeight(order);
  const both = { cpu: [x.cpu, ...weight.cpu], gpu: [x.gpu, ...weight.gpu] };
  return {
    forward: forward(order, variant),
    backward: { x: { cpu: [x.cpu], gpu: [x.gpu] }, ...(variant.weight ? { 'x weight': both } : {}) },
    ...(variant.weight ? {} : higher(order)),
  };
}

const variant = (v: Variant): VariantDescription => ({
  requirements: [{ test: (n) => n.n !== 13, message: 'n must not be 13' }],
  layouts: Object.fromEntries(layouts.map((order) => [order.join(' '), layout(order, v)])),
});

const flags = [false, true];
const variants = flags.flatMap((weight) =>
  flags.flatMap((total) =>
    flags
      .filter((training) => total || !training)
      .map((training) => {
        const key = [weight && 'weight', total && 'total', total && 'calls', training && 'training'];
        return [key.filter(Boolean).join(' '), variant({ weight, total, training })] as const;
      }),
  ),
);

export const scale: OpDescription<ScaleTypes> = {
  name: 'scale',
  arguments: [
    { kind: 'tensor', name: 'x', dimensions: full, differentiable: true },
    { kind: 'tensor', name: 'weight', dimensions: [{ axes: ['k'] }], optional: true, differentiable: true },
    { kind: 'tensor', name: 'total', dimensions: perGroup, optional: true, state: true },
    { kind: 'tensor', name: 'calls', dimensions: perGroup, optional: true, state: true },
    { kind: 'int', name: 'g' },
    { kind: 'bool', name: 'training' },
    { kind: 'float', name: 'factor', default: 1 },
  ],
  returns: [
    { name: 'y', dimensions: full, differentiable: true },
    { name: 'energy', dimensions: perGroup, differentiable: true },
    { name: 'sums', dimensions: perGroup },
  ],
  axes,
  layouts,
  together: [['total', 'calls']],
  unavailable: {
    training: 'total must be given in training',
    'weight training': 'total must be given in training',
  },
  variants: Object.fromEntries(variants),
};

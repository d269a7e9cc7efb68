/** Forward, and from what it leaves, the directions that differentiate it. */
import { type Call, checkNames, checkTensors, type Given, isSameShape } from './call.ts';
import type { DirectionDescription, Role } from './description.ts';
import { fail } from './error.ts';
import { type Backend, type Kernel, type Pending, plan, prepare, type Wanted } from './execute.ts';
import { type Handle, handleOf, type Tensor } from './tensor.ts';

export type Tensors = { readonly [name: string]: Tensor };

/** A finished forward: plans for the other directions. */
export interface Finished<K extends Kernel> {
  readonly outputs: Tensors;
  readonly saved: Tensors;
  backward(cotangents: Given, wrt?: readonly string[]): Pending<K, Tensors>;
  jvp(tangents: Given): Pending<K, Tensors>;
  doubleBackward(cotangents: Given, cotangents2: Given, wrt?: readonly string[]): Pending<K, Tensors>;
  dispose(): void;
}

export function planForward<K extends Kernel>(backend: Backend<K>, call: Call): Pending<K, Finished<K>> {
  const { layout, tensors } = call;
  const prepared = prepare(
    backend,
    call,
    'forward',
    'forward',
    () => layout.forward,
    (kernels) => wantedByForward(call, kernels),
  );
  for (const state of prepared.updated) checkAliasing(state, tensors);
  return plan(backend, call, {
    name: 'forward',
    prepared,
    find: (_, of) => tensors.get(of),
    finish: (results) => {
      const { wanted } = prepared;
      return finishForward(backend, call, pick(wanted, results, 'output'), pick(wanted, results, 'saved'));
    },
  });
}

/** All returns, and what forward saves beside them. */
function wantedByForward({ op, numbers, shapeOf }: Call, kernels: readonly Kernel[]): Wanted[] {
  const isReturn = (name: string) => op.returns.some((r) => r.name === name);
  const bindings = kernels.flatMap((kernel) => kernel.bindings);
  const saved = new Map(
    bindings.filter((b) => b.role === 'saved' && !isReturn(b.of)).map((b) => [b.of, b.axes]),
  );
  return [
    ...op.returns.map(({ name }): Wanted => ({ role: 'output', of: name, shape: shapeOf(name) })),
    ...[...saved].map(
      ([of, axes]): Wanted => ({ role: 'saved', of, shape: axes.map((axis) => numbers[axis]!) }),
    ),
  ];
}

function finishForward<K extends Kernel>(
  backend: Backend<K>,
  call: Call,
  outputs: Tensors,
  saved: Tensors,
): Finished<K> {
  const { layout, differentiable, differentiableReturns } = call;
  let disposed = false;

  /** What exists once forward has run, and what a direction adds. An output may serve as a saved tensor. */
  const finder = (added: (role: Role, of: string) => Tensor | undefined) => {
    if (disposed) fail('disposed', 'this run was disposed, and what it saved for backward with it');
    return (role: Role, of: string): Tensor | undefined => {
      if (role === 'input' || role === 'state') return call.tensors.get(of);
      if (role === 'output') return outputs[of];
      return role === 'saved' ? (saved[of] ?? outputs[of]) : added(role, of);
    };
  };
  /** Tensors that belong to arguments or returns, with their shapes checked. */
  const readAs = (
    role: 'cotangent' | 'tangent' | 'cotangent2',
    of: readonly string[],
    given: Given,
  ): ReadonlyMap<string, Tensor> => {
    const found = checkTensors(backend, of, given, role, call.dtype);
    if (found.size === 0) fail('missing', `no ${role} was given; expected ${of.join(', ')}`);
    for (const [name, tensor] of found) {
      const shape = call.shapeOf(name);
      if (!isSameShape(shape, tensor.shape))
        fail('shape', `the ${role} of ${name} has shape [${tensor.shape}], expected [${shape}]`);
    }
    return found;
  };
  /** The names asked for, in signature order. */
  const checkWrt = (wrt: readonly string[]): readonly string[] => {
    checkNames(differentiable, Object.fromEntries(wrt.map((name) => [name, 0])), 'wrt');
    const missing = wrt.find((name) => !call.tensors.has(name));
    if (missing) fail('missing', `the gradient of ${missing} was asked for, but ${missing} was not given`);
    return differentiable.filter((name) => wrt.includes(name));
  };
  const like = (role: Role, names: readonly string[]): Wanted[] =>
    names.map((of) => ({ role, of, shape: call.shapeOf(of) }));

  return {
    outputs,
    saved,
    backward: (cotangents, wrt) => {
      const names = wrt ? checkWrt(wrt) : call.given;
      const given = readAs('cotangent', differentiableReturns, cotangents);
      const prepared = prepare(
        backend,
        call,
        `backward ${names.join(' ')}`,
        'backward',
        () => smallest(layout.backward, names, 'backward')[1],
        () => like('gradient', smallest(layout.backward, names, 'backward')[0]),
      );
      return plan(backend, call, {
        name: 'backward',
        prepared,
        find: finder((_, of) => given.get(of)),
        finish: (results) => pick(prepared.wanted, results, 'gradient', names),
      });
    },
    jvp: (tangents) => {
      const given = readAs('tangent', call.given, tangents);
      const prepared = prepare(
        backend,
        call,
        'jvp',
        'jvp',
        () => layout.jvp ?? fail('not-generated', 'forward mode was not generated'),
        () => like('output_tangent', differentiableReturns),
      );
      return plan(backend, call, {
        name: 'jvp',
        prepared,
        find: finder((_, of) => given.get(of)),
        finish: (results) => pick(prepared.wanted, results, 'output_tangent'),
      });
    },
    doubleBackward: (
      cotangents,
      cotangents2,
      wrt = Object.keys(cotangents2).filter((n) => cotangents2[n]),
    ) => {
      const names = checkWrt(wrt);
      const first = readAs('cotangent', differentiableReturns, cotangents);
      const second = readAs('cotangent2', names, cotangents2);
      const prepared = prepare(
        backend,
        call,
        `double_backward ${names.join(' ')}`,
        'double backward',
        () => smallest(layout.double_backward ?? {}, names, 'double backward')[1],
        (kernels) => {
          const written = (role: Role): string[] => {
            const bindings = kernels.flatMap((kernel) => kernel.bindings).filter((b) => b.role === role);
            return [...new Set(bindings.map(({ of }) => of))];
          };
          return [
            ...like('second', written('second')),
            ...like('second_cotangent', written('second_cotangent')),
          ];
        },
      );
      return plan(backend, call, {
        name: 'double backward',
        prepared,
        find: finder((role, of) => (role === 'cotangent' ? first : second).get(of)),
        finish: (results) => {
          const grads = Object.entries(pick(prepared.wanted, results, 'second_cotangent'));
          return {
            ...Object.fromEntries(grads.map(([name, t]) => [`grad_${name}`, t])),
            ...pick(prepared.wanted, results, 'second'),
          };
        },
      });
    },
    dispose: () => {
      disposed = true;
      for (const name in saved) saved[name]!.dispose();
    },
  };
}

/** The results of one role by name; with `names` those alone, and the others are freed. */
function pick(
  wanted: readonly Wanted[],
  results: readonly Tensor[],
  role: Role,
  names?: readonly string[],
): Tensors {
  const picked: Record<string, Tensor> = {};
  for (let i = 0; i < wanted.length; i++) {
    const { role: itsRole, of } = wanted[i]!;
    if (itsRole !== role) continue;
    if (!names || names.includes(of)) picked[of] = results[i]!;
    else results[i]!.dispose();
  }
  return picked;
}

/** The generated subset of gradients with the fewest more than those wanted. */
function smallest(
  generated: { readonly [wrt: string]: DirectionDescription },
  wanted: readonly string[],
  name: string,
): readonly [string[], DirectionDescription] {
  if (wanted.length === 0) fail('missing', `${name} needs at least one tensor to differentiate for`);
  const subsets = Object.entries(generated).map(
    ([key, description]) => [key.split(' '), description] as const,
  );
  const enough = subsets.filter(([subset]) => wanted.every((of) => subset.includes(of)));
  enough.sort(([a], [b]) => a.length - b.length);
  return enough[0] ?? fail('not-generated', `${name} was not generated for ${wanted.join(', ')}`);
}

/** A state is written while other tensors are read: sharing memory would make the result depend on the order. */
function checkAliasing(state: string, tensors: ReadonlyMap<string, Tensor>): void {
  const mine = handleOf(tensors.get(state)!);
  for (const [name, tensor] of tensors) {
    if (name !== state && overlap(mine, handleOf(tensor))) {
      fail(
        'aliasing',
        `${name} and ${state} share memory, but ${state} is updated in place: pass a copy of one`,
      );
    }
  }
}

function overlap(a: Handle, b: Handle): boolean {
  const [x, y] = [extentOf(a), extentOf(b)];
  if (!x || !y) return a === b;
  const isApart = x.end <= y.start || y.end <= x.start;
  return x.memory === y.memory && !isApart;
}

/** Blocks and arrays over WebAssembly memory lie in the same one. */
function extentOf(handle: Handle): { memory: unknown; start: number; end: number } | undefined {
  if ('address' in handle)
    return { memory: 'wasm', start: handle.address, end: handle.address + handle.bytes };
  if (!('buffer' in handle)) return undefined;
  const { buffer, byteOffset, byteLength } = handle;
  const memory = buffer instanceof ArrayBuffer ? buffer : 'wasm';
  return { memory, start: byteOffset, end: byteOffset + byteLength };
}

/** Forward, and from what it leaves, the directions that differentiate it. */
import { type Call, checkNames, checkTensors, type Given, isSameShape } from './call.ts';
import type { DirectionDescription, Role } from './description.ts';
import type { Perform } from './device.ts';
import { fail } from './error.ts';
import { type Backend, type Kernel, type Pending, plan, prepare, type Wanted } from './execute.ts';
import { type Data, type Handle, handleOf, type Tensor } from './tensor.ts';
import type { Mode } from './types.ts';

export type Tensors = { readonly [name: string]: Tensor };

/** Forward, whose result is a `Run` that performs the other directions. */
export function planForward<K extends Kernel, M extends Mode>(
  backend: Backend<K>,
  call: Call,
  tensors: Given,
  perform: Perform<K, M>,
) {
  const name = 'forward';
  const prepared = prepare(backend, call, name, () => [
    call.layout.forward,
    (kernels) => wantedByForward(call, kernels),
  ]);
  for (const state of prepared.updated) checkAliasing(state, tensors);
  return plan(
    backend,
    call,
    name,
    prepared,
    (_, of) => tensors[of],
    (results) => {
      const { wanted } = prepared;
      const outputs = pick(wanted, results, 'output');
      return finishForward(backend, call, tensors, outputs, pick(wanted, results, 'saved'), perform);
    },
  );
}

/** All returns, and what forward saves beside them. */
function wantedByForward({ op, numbers, shapeOf }: Call, kernels: readonly Kernel[]): Wanted[] {
  const wanted = new Map(
    op.returns.map(({ name }): [string, Wanted] => [
      name,
      { role: 'output', of: name, shape: shapeOf(name) },
    ]),
  );
  for (const { role, of, axes } of kernels.flatMap((kernel) => kernel.bindings))
    if (role === 'saved' && !wanted.has(of))
      wanted.set(of, { role, of, shape: axes.map((axis) => numbers[axis]!) });
  return [...wanted.values()];
}

function finishForward<K extends Kernel, M extends Mode>(
  backend: Backend<K>,
  call: Call,
  tensors: Given,
  outputs: Tensors,
  saved: Tensors,
  perform: Perform<K, M>,
) {
  const { layout, differentiable, differentiableReturns } = call;
  let disposed = false;

  /** What exists once forward has run, and what a direction adds. An output may serve as a saved tensor. */
  const finder = (added: Given, second?: Given) => {
    if (disposed) fail('disposed', 'this run was disposed, and what it saved for backward with it');
    return (role: Role, of: string): Tensor | null | undefined => {
      if (role === 'input' || role === 'state') return tensors[of];
      if (role === 'output') return outputs[of];
      if (role === 'saved') return saved[of] ?? outputs[of];
      return (role === 'cotangent2' ? second! : added)[of];
    };
  };
  /** A copy of the tensors that belong to arguments or returns, with their shapes checked. */
  const readAs = (role: Role, of: readonly string[], given: Given): Given => {
    checkTensors(backend, of, given, role, call.dtype);
    let count = 0;
    for (const name of of) {
      const tensor = given[name];
      if (!tensor) continue;
      count++;
      const shape = call.shapeOf(name);
      if (!isSameShape(shape, tensor.shape))
        fail('shape', `the ${role} of ${name} has shape [${tensor.shape}], expected [${shape}]`);
    }
    if (count === 0) fail('missing', `no ${role} was given; expected ${of.join(', ')}`);
    return { ...given };
  };
  /** The names asked for, in signature order. */
  const checkWrt = (wrt: readonly string[]): readonly string[] => {
    checkNames(differentiable, Object.fromEntries(wrt.map((name) => [name, 0])), 'wrt');
    const missing = wrt.find((name) => !tensors[name]);
    if (missing) fail('missing', `the gradient of ${missing} was asked for, but ${missing} was not given`);
    return differentiable.filter((name) => wrt.includes(name));
  };
  const like = (role: Role, names: readonly string[]): Wanted[] =>
    names.map((of) => ({ role, of, shape: call.shapeOf(of) }));

  return {
    outputs,
    saved,
    backward: (cotangents: Given, wrt?: readonly string[]) =>
      perform((): Pending<K, Tensors> => {
        const names = wrt ? checkWrt(wrt) : call.given;
        const given = readAs('cotangent', differentiableReturns, cotangents);
        const name = `backward for ${names}`;
        const prepared = prepare(backend, call, name, () => {
          const [subset, description] = smallest(layout.backward, names, name);
          return [description, () => like('gradient', subset)];
        });
        return plan(backend, call, name, prepared, finder(given), (results) =>
          pick(prepared.wanted, results, 'gradient', names),
        );
      }),
    jvp: (tangents: Given) =>
      perform((): Pending<K, Tensors> => {
        const given = readAs('tangent', call.given, tangents);
        const name = 'forward mode';
        const prepared = prepare(backend, call, name, () => [
          layout.jvp,
          () => like('output_tangent', differentiableReturns),
        ]);
        return plan(backend, call, name, prepared, finder(given), (results) =>
          pick(prepared.wanted, results, 'output_tangent'),
        );
      }),
    doubleBackward: (
      cotangents: Given,
      cotangents2: Given,
      wrt: readonly string[] = Object.keys(cotangents2).filter((name) => cotangents2[name]),
    ) =>
      perform((): Pending<K, Tensors> => {
        const names = checkWrt(wrt);
        const first = readAs('cotangent', differentiableReturns, cotangents);
        const second = readAs('cotangent2', names, cotangents2);
        const name = `double backward for ${names}`;
        const prepared = prepare(backend, call, name, () => [
          smallest(layout.double_backward ?? {}, names, name)[1],
          (kernels) => {
            const bindings = kernels.flatMap((kernel) => kernel.bindings);
            return (['second', 'second_cotangent'] as const).flatMap((role) =>
              like(role, [...new Set(bindings.filter((b) => b.role === role).map(({ of }) => of))]),
            );
          },
        ]);
        return plan(backend, call, name, prepared, finder(first, second), (results) => {
          const grads = Object.entries(pick(prepared.wanted, results, 'second_cotangent'));
          return {
            ...Object.fromEntries(grads.map(([of, tensor]) => [`grad_${of}`, tensor])),
            ...pick(prepared.wanted, results, 'second'),
          };
        });
      }),
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
  const [best] = Object.entries(generated)
    .map(([key, description]) => [key.split(' '), description] as const)
    .filter(([subset]) => wanted.every((of) => subset.includes(of)))
    .sort(([a], [b]) => a.length - b.length);
  return best ?? fail('not-generated', `${name} was not generated`);
}

/** A state is written while other tensors are read: sharing memory would make the result depend on the order. */
function checkAliasing(state: string, tensors: Given): void {
  const mine = handleOf(tensors[state]!);
  for (const name in tensors) {
    const tensor = tensors[name];
    if (name !== state && tensor && overlap(mine, handleOf(tensor)))
      fail(
        'aliasing',
        `${name} and ${state} share memory, but ${state} is updated in place: pass a copy of one`,
      );
  }
}

function overlap(a: Handle, b: Handle): boolean {
  if (a === b) return true;
  if (memoryOf(a) !== memoryOf(b)) return false;
  return startOf(a) < startOf(b) + bytesOf(b) && startOf(b) < startOf(a) + bytesOf(a);
}

/** What a handle is part of: blocks and arrays over WebAssembly memory lie in the same one. */
function memoryOf(handle: Handle): unknown {
  if ('address' in handle) return 'wasm';
  if (!('buffer' in handle)) return handle;
  return handle.buffer instanceof ArrayBuffer ? handle.buffer : 'wasm';
}
const startOf = (handle: Handle) => ('address' in handle ? handle.address : (handle as Data).byteOffset);
const bytesOf = (handle: Handle) => ('address' in handle ? handle.bytes : (handle as Data).byteLength);

/** Forward, and from what it leaves, the directions that differentiate it. */
import { type Call, checkNames, checkTensors, type Given } from './call.ts';
import type { DirectionDescription } from './description.ts';
import { fail } from './error.ts';
import { type Backend, type Kernel, keyOf, type Pending, plan, type Wanted } from './execute.ts';
import type { Storage, Tensor } from './tensor.ts';

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
  const { op, layout, tensors, numbers } = call;
  const bindings = (backend.kernelsOf(layout.forward, call.dtype) ?? []).flatMap((kernel) => kernel.bindings);
  const written = bindings.filter((b) => b.role === 'state' && b.access !== 'read').map((b) => b.of);
  for (const state of written) checkAliasing(state, tensors);

  const wanted: Wanted[] = op.returns.map(({ name }) => ({
    role: 'output',
    of: name,
    shape: call.shapeOf(name),
  }));
  const isReturn = (name: string) => op.returns.some((r) => r.name === name);
  const saved = new Map(
    bindings.filter((b) => b.role === 'saved' && !isReturn(b.of)).map((b) => [b.of, b.axes]),
  );
  for (const [of, axes] of saved)
    wanted.push({ role: 'saved', of, shape: axes.map((axis) => numbers[axis]!) });
  return plan(backend, call, {
    name: 'forward',
    description: layout.forward,
    wanted,
    existing: argumentsOf(call),
    finish: (results) => finishForward(backend, call, results),
  });
}

function finishForward<K extends Kernel>(
  backend: Backend<K>,
  call: Call,
  results: ReadonlyMap<string, Tensor>,
): Finished<K> {
  const { op, layout } = call;
  const outputs = pick(results, 'output');
  const saved = pick(results, 'saved');
  const differentiable = op.arguments.filter((a) => a.kind === 'tensor' && a.differentiable);
  const inputs = differentiable.filter(({ name }) => call.tensors.has(name));
  const returns = op.returns.filter((r) => r.differentiable);
  let disposed = false;

  /** Everything that exists once forward has run, and what a direction adds. An output may serve as a saved tensor. */
  const existing = (...added: (readonly [string, Tensor])[]) => {
    if (disposed) fail('disposed', 'this run was disposed, and what it saved for backward with it');
    const kept = Object.entries({ ...outputs, ...saved }).map(([of, t]) => [keyOf('saved', of), t] as const);
    const made = Object.entries(outputs).map(([of, t]) => [keyOf('output', of), t] as const);
    return new Map([...argumentsOf(call), ...made, ...kept, ...added]);
  };
  /** Tensors that belong to arguments or returns, with their shapes checked. */
  const readAs = (
    role: 'cotangent' | 'tangent' | 'cotangent2',
    of: readonly { name: string }[],
    given: Given,
  ) => {
    const found = checkTensors(backend, of, given, role, call.dtype);
    if (found.size === 0)
      fail('missing', `no ${role} was given; expected ${of.map(({ name }) => name).join(', ')}`);
    return [...found].map(([name, tensor]) => {
      const shape = call.shapeOf(name);
      if (String(shape) !== String(tensor.shape)) {
        fail('shape', `the ${role} of ${name} has shape [${tensor.shape}], expected [${shape}]`);
      }
      return [keyOf(role, name), tensor] as const;
    });
  };
  /** The names asked for, in signature order. */
  const checkWrt = (wrt: readonly string[]) => {
    const names = differentiable.map(({ name }) => name);
    checkNames(names, Object.fromEntries(wrt.map((name) => [name, 0])), 'wrt');
    const missing = wrt.find((name) => !call.tensors.has(name));
    if (missing) fail('missing', `the gradient of ${missing} was asked for, but ${missing} was not given`);
    return names.filter((name) => wrt.includes(name));
  };
  const like = (role: Wanted['role'], names: readonly string[]): Wanted[] =>
    names.map((of) => ({ role, of, shape: call.shapeOf(of) }));

  return {
    outputs,
    saved,
    backward: (cotangents, wrt = inputs.map(({ name }) => name)) => {
      const names = checkWrt(wrt);
      const [subset, description] = smallest(layout.backward, names, 'backward');
      return plan(backend, call, {
        name: 'backward',
        description,
        wanted: like('gradient', subset),
        existing: existing(...readAs('cotangent', returns, cotangents)),
        finish: (results) => pick(results, 'gradient', names),
      });
    },
    jvp: (tangents) =>
      plan(backend, call, {
        name: 'jvp',
        description: layout.jvp ?? fail('not-generated', 'forward mode was not generated'),
        wanted: like(
          'output_tangent',
          returns.map(({ name }) => name),
        ),
        existing: existing(...readAs('tangent', inputs, tangents)),
        finish: (results) => pick(results, 'output_tangent'),
      }),
    doubleBackward: (
      cotangents,
      cotangents2,
      wrt = Object.keys(cotangents2).filter((n) => cotangents2[n]),
    ) => {
      const names = checkWrt(wrt);
      const [, description] = smallest(layout.double_backward ?? {}, names, 'double backward');
      const added = [
        ...readAs('cotangent', returns, cotangents),
        ...readAs(
          'cotangent2',
          differentiable.filter(({ name }) => names.includes(name)),
          cotangents2,
        ),
      ];
      const roles = (backend.kernelsOf(description, call.dtype) ?? []).flatMap((kernel) => kernel.bindings);
      const of = (role: Wanted['role']) => [
        ...new Set(roles.filter((b) => b.role === role).map((b) => b.of)),
      ];
      return plan(backend, call, {
        name: 'double backward',
        description,
        wanted: [...like('second', of('second')), ...like('second_cotangent', of('second_cotangent'))],
        existing: existing(...added),
        finish: (results) => {
          const grads = Object.entries(pick(results, 'second_cotangent'));
          return {
            ...Object.fromEntries(grads.map(([name, t]) => [`grad_${name}`, t])),
            ...pick(results, 'second'),
          };
        },
      });
    },
    dispose: () => {
      disposed = true;
      for (const tensor of Object.values(saved)) tensor.dispose();
    },
  };
}

/** Arguments are bound as inputs where they are only read, and as states where they are updated. */
const argumentsOf = ({ tensors }: Call) =>
  new Map(
    [...tensors].flatMap(([of, t]) => [[keyOf('input', of), t] as const, [keyOf('state', of), t] as const]),
  );

/** The results of one role by name; with `names` those alone, and the others are freed. */
function pick(
  results: ReadonlyMap<string, Tensor>,
  role: Wanted['role'],
  names?: readonly string[],
): Tensors {
  const picked: Record<string, Tensor> = {};
  for (const [key, tensor] of results) {
    const [itsRole, of] = key.split(' ') as [string, string];
    if (itsRole !== role) continue;
    if (!names || names.includes(of)) picked[of] = tensor;
    else tensor.dispose();
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
  const mine = tensors.get(state)!;
  for (const [name, tensor] of tensors) {
    if (name !== state && overlap(mine.storage, tensor.storage)) {
      fail(
        'aliasing',
        `${name} and ${state} share memory, but ${state} is updated in place: pass a copy of one`,
      );
    }
  }
}

function overlap(a: Storage, b: Storage): boolean {
  if (!('buffer' in a && 'buffer' in b)) return a === b;
  const before = (x: typeof a, y: typeof a) => x.byteOffset + x.byteLength <= y.byteOffset;
  return a.buffer === b.buffer && !before(a, b) && !before(b, a);
}

/** Forward, and from what it leaves, the directions that differentiate it. */
import { type Call, checkNames, checkTensors, type Given, isSameShape } from './call.ts';
import type { DirectionDescription, Role } from './description.ts';
import type { Perform } from './device.ts';
import { fail } from './error.ts';
import { type Backend, type Described, type Kernel, type Pending, plan, type Wanted } from './execute.ts';
import type { Tensor } from './tensor.ts';
import type { Mode } from './types.ts';

export type Tensors = { readonly [name: string]: Tensor };

/** Forward, whose result is a `Run` that performs the other directions. */
export const planForward = <K extends Kernel, M extends Mode>(
  backend: Backend<K>,
  call: Call,
  tensors: Given,
  perform: Perform<K, M>,
) =>
  plan(
    backend,
    call,
    tensors,
    'forward',
    () => [call.layout.forward, (kernels) => wantedByForward(call, kernels)],
    () => undefined,
    (results, wanted) => finishForward(backend, call, tensors, results, wanted, perform),
  );

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
  computed: readonly Tensor[],
  wantedOfForward: readonly Wanted[],
  perform: Perform<K, M>,
) {
  const { layout, differentiable, differentiableReturns } = call;
  const outputs = pick(computed, wantedOfForward, 'output');
  const saved = pick(computed, wantedOfForward, 'saved');
  let disposed = false;

  /** Plans a direction, which has what forward left, and what is added. An output may serve as a saved tensor. */
  const planFrom = (
    name: string,
    added: Given,
    added2: Given,
    describe: () => Described<K>,
    finish: (results: readonly Tensor[], wanted: readonly Wanted[]) => Tensors,
  ): Pending<K, Tensors> => {
    if (disposed) fail('disposed', 'this run was disposed');
    const find = (role: Role, of: string) => {
      if (role === 'output') return outputs[of];
      if (role === 'saved') return saved[of] ?? outputs[of];
      return (role === 'cotangent2' ? added2 : added)[of];
    };
    return plan(backend, call, tensors, name, describe, find, finish);
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
    checkNames(differentiable, wrt, 'wrt');
    const missing = wrt.find((name) => !tensors[name]);
    if (missing) fail('missing', `${missing} was not given, so it has no gradient`);
    return differentiable.filter((name) => wrt.includes(name));
  };
  const like = (role: Role, names: readonly string[]): Wanted[] =>
    names.map((of) => ({ role, of, shape: call.shapeOf(of) }));

  return {
    outputs,
    saved,
    backward: (cotangents: Given, wrt?: readonly string[]) =>
      perform(() => {
        const names = wrt ? checkWrt(wrt) : call.given;
        const name = `backward for ${names}`;
        const given = readAs('cotangent', differentiableReturns, cotangents);
        const describe = (): Described<K> => {
          const [subset, description] = smallest(layout.backward, names, name);
          return [description, () => like('gradient', subset)];
        };
        return planFrom(name, given, given, describe, (results, wanted) =>
          pick(results, wanted, 'gradient', names),
        );
      }),
    jvp: (tangents: Given) =>
      perform(() => {
        const given = readAs('tangent', call.given, tangents);
        const describe = (): Described<K> => [
          layout.jvp,
          () => like('output_tangent', differentiableReturns),
        ];
        return planFrom('forward mode', given, given, describe, (results, wanted) =>
          pick(results, wanted, 'output_tangent'),
        );
      }),
    doubleBackward: (
      cotangents: Given,
      cotangents2: Given,
      wrt: readonly string[] = Object.keys(cotangents2).filter((name) => cotangents2[name]),
    ) =>
      perform(() => {
        const names = checkWrt(wrt);
        const name = `double backward for ${names}`;
        const first = readAs('cotangent', differentiableReturns, cotangents);
        const second = readAs('cotangent2', names, cotangents2);
        const describe = (): Described<K> => [
          smallest(layout.double_backward ?? {}, names, name)[1],
          (kernels) => {
            const bindings = kernels.flatMap((kernel) => kernel.bindings);
            return (['second', 'second_cotangent'] as const).flatMap((role) =>
              like(role, [...new Set(bindings.filter((b) => b.role === role).map(({ of }) => of))]),
            );
          },
        ];
        return planFrom(name, first, second, describe, (results, wanted) => ({
          ...pick(results, wanted, 'second_cotangent', undefined, 'grad_'),
          ...pick(results, wanted, 'second'),
        }));
      }),
    dispose: () => {
      disposed = true;
      for (const name in saved) saved[name]!.dispose();
    },
  };
}

/** The results of one role by name; with `names` those alone, and the others are freed. */
function pick(
  results: readonly Tensor[],
  wanted: readonly Wanted[],
  role: Role,
  names?: readonly string[],
  prefix = '',
): Tensors {
  const picked: Record<string, Tensor> = {};
  for (let i = 0; i < wanted.length; i++) {
    const { role: itsRole, of } = wanted[i]!;
    if (itsRole !== role) continue;
    if (!names || names.includes(of)) picked[prefix + of] = results[i]!;
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

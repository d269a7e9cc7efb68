/** Forward, and from what it leaves, the directions that differentiate it. */
import { type Call, checkNames, checkTensors, type Given, isSame, nameOf } from './call.ts';
import type { DirectionDescription, Role } from './description.ts';
import type { Perform } from './device.ts';
import { fail } from './error.ts';
import {
  type Backend,
  type ByRole,
  type Described,
  type Kernel,
  type Pending,
  plan,
  type Results,
} from './execute.ts';
import type { Owner, Tensor } from './tensor.ts';
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
    'forward',
    'output',
    () => [call.layout.forward, call.op.returns.map(nameOf)],
    { input: tensors, state: tensors },
    {},
    (results) => finishForward(backend, call, tensors, results, perform),
  );

function finishForward<K extends Kernel, M extends Mode>(
  backend: Backend<K>,
  call: Call,
  tensors: Given,
  { output: outputs = {}, saved = {} }: Results,
  perform: Perform<K, M>,
) {
  const { layout, differentiableReturns } = call;
  const left: ByRole = { input: tensors, state: tensors, output: outputs, saved };
  let disposed = false;

  /** Plans a direction, which has what forward left, and what is given. */
  const planFrom = (
    name: string,
    result: Role,
    describe: () => Described,
    given: ByRole,
    finish: (results: Results) => Tensors,
  ): Pending<K, Tensors> => {
    if (disposed) fail('disposed', 'this run was disposed');
    return plan(backend, call, name, result, describe, left, given, finish);
  };
  return {
    outputs,
    saved,
    backward: (cotangents: Given, wrt?: readonly string[]) =>
      perform(() => {
        const names = wantedOf(call, tensors, wrt);
        const name = `backward for ${names}`;
        const cotangent = readGiven(backend, call, 'cotangent', differentiableReturns, cotangents);
        const describe = () => smallest(layout.backward, names);
        return planFrom(name, 'gradient', describe, { cotangent }, ({ gradient = {} }) =>
          only(names, gradient),
        );
      }),
    jvp: (tangents: Given) =>
      perform(() => {
        const tangent = readGiven(backend, call, 'tangent', call.given, tangents);
        const role = 'output_tangent';
        return planFrom(
          'forward mode',
          role,
          () => [layout.jvp, differentiableReturns],
          { tangent },
          (results) => results[role] ?? {},
        );
      }),
    doubleBackward: (cotangents: Given, cotangents2: Given, wrt?: readonly string[]) =>
      perform(() => {
        const cotangent = readGiven(backend, call, 'cotangent', differentiableReturns, cotangents);
        const wanted = wantedOf(call, tensors, wrt);
        const cotangent2 = readGiven(backend, call, 'cotangent2', wanted, cotangents2);
        const names = wrt ? wanted : wanted.filter((name) => cotangent2[name]);
        const name = `double backward for ${names}`;
        // which gradients are not zero its kernels say
        const describe = (): Described => [smallest(layout.double_backward ?? {}, names)[0], []];
        const given = { cotangent, cotangent2 };
        return planFrom(name, 'second', describe, given, secondOf);
      }),
    dispose: () => {
      disposed = true;
      for (const name in saved) saved[name]!.dispose();
    },
  };
}

/** A copy of the tensors that belong to arguments or returns, with their shapes checked. */
function readGiven(owner: Owner, call: Call, role: Role, of: readonly string[], tensors: Given): Given {
  const given = { ...tensors };
  checkTensors(owner, of, given, role, call.dtype);
  const names = of.filter((name) => given[name]);
  for (const name of names) {
    const shape = call.shapeOf(name);
    const { shape: found } = given[name]!;
    if (!isSame(shape, found))
      fail('shape', `the ${role} of ${name} has shape [${found}], expected [${shape}]`);
  }
  expectSome(role, names, of);
  return given;
}

/** The names asked for, in signature order; by default all that can be. */
function wantedOf({ differentiable, given }: Call, tensors: Given, wrt: readonly string[] = given) {
  // callers without types may give a name alone
  const names = [wrt].flat();
  checkNames(differentiable, names, 'wrt');
  const missing = names.find((name) => !tensors[name]);
  if (missing) fail('missing', `${missing} was not given, so it has no gradient`);
  expectSome('differentiable input', names, differentiable);
  return differentiable.filter((name) => names.includes(name));
}

function expectSome(what: string, given: readonly string[], expected: readonly string[]): void {
  if (given.length === 0) fail('missing', `no ${what} was given; expected ${expected.join(', ') || 'none'}`);
}

/** Those of arguments, and those of cotangents, which are called `grad_` and the return. */
function secondOf({ second_cotangent = {}, second }: Results): Tensors {
  const all = { ...second };
  for (const name in second_cotangent) all[`grad_${name}`] = second_cotangent[name]!;
  return all;
}

/** The tensors of these names; the others are freed. */
function only(names: readonly string[], tensors: Tensors): Tensors {
  const kept: Record<string, Tensor> = {};
  for (const name in tensors)
    if (names.includes(name)) kept[name] = tensors[name]!;
    else tensors[name]!.dispose();
  return kept;
}

/** The generated subset of gradients with the fewest more than those wanted. */
function smallest(
  generated: { readonly [wrt: string]: DirectionDescription },
  wanted: readonly string[],
): Described {
  const [best] = Object.keys(generated)
    .map((key) => key.split(' '))
    .filter((subset) => wanted.every((of) => subset.includes(of)))
    .sort((a, b) => a.length - b.length);
  return best ? [generated[best.join(' ')], best] : [undefined, wanted];
}

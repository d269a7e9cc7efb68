/** A file of CPU kernels: plain, documented functions over typed arrays. */
import type { CompiledOp } from '../compile.ts';
import type { Binding, Kernel } from '../kernel/kernel.ts';
import { type EmitOptions, header } from './header.ts';
import { commentOf, type NamedKernel } from './op.ts';
import { type Inset, printFile, type Structure } from './source.ts';
import { helpersOf, type PrintedKernels, printKernels } from './typescript.ts';

export const functionName = (op: CompiledOp, { name }: Pick<NamedKernel, 'name'>): string =>
  `${op.entry.name}_${name}`;

export async function emitFunctions(
  op: CompiledOp,
  members: readonly NamedKernel[],
  options: EmitOptions,
): Promise<string> {
  const kernels = members.map(({ kernel }) => kernel);
  const helpers = helpersOf(kernels);
  const printed = printKernels(kernels);
  return printFile(
    header(options),
    (inset) => [
      {
        kind: 'TypeAlias',
        name: 'Floats',
        type: 'Float32Array | Float64Array',
        docs: [
          'Tensors, row-major in the order of axes said of each; numbers are called like the axis or attribute they are.',
        ],
      },
      ...members.map((named) => functionOf(op, named, printed, inset)),
      ...[...printed.loops, ...helpers].map((helper) => inset(`\n${helper}`)),
    ],
    options.tools.print,
  );
}

function functionOf(op: CompiledOp, named: NamedKernel, printed: PrintedKernels, inset: Inset): Structure {
  const { kernel } = named;
  const lines = [...commentOf(op, named), '', ...parameterDocs(kernel)];
  return {
    kind: 'Function',
    name: functionName(op, named),
    isExported: true,
    docs: [{ description: `\n${lines.map(inComment).join('\n')}` }],
    parameters: [
      ...kernel.bindings.map(({ name, optional }) => ({
        name,
        type: optional ? 'Floats | undefined' : 'Floats',
      })),
      ...kernel.uniforms.map(({ name }) => ({ name, type: 'number' })),
    ],
    returnType: 'void',
    statements: inset(printed.bodyOf(kernel, '')),
  };
}

const inComment = (line: string): string => line.replaceAll('*/', '* /');

const purpose: { readonly [K in Binding['role']]: (of: string) => string } = {
  input: () => '',
  state: () => 'state',
  output: () => '',
  saved: () => 'saved by forward',
  cotangent: (of) => `the cotangent of ${of}`,
  gradient: (of) => `the gradient of ${of}`,
  tangent: (of) => `the tangent of ${of}`,
  output_tangent: (of) => `the tangent of ${of}`,
  cotangent2: (of) => `the cotangent of the gradient of ${of}`,
  second: (of) => `the second-order gradient of ${of}`,
  second_cotangent: (of) => `the second-order gradient of the cotangent of ${of}`,
  scratch: () => 'scratch',
};

/** What is only read goes without saying. */
const accesses = { read: '', write: ', written', read_write: ', read and written' };

const parameterDocs = ({ bindings, uniforms }: Kernel): string[] => [
  ...bindings.map(({ name, role, of, axes, access, optional }) => {
    const what = purpose[role](of);
    return `@param ${name} [${axes.join(', ')}]${accesses[access]}${optional ? ', or absent' : ''}${what && `: ${what}`}`;
  }),
  ...uniforms
    .filter(({ name, of }) => name !== of)
    .map(
      ({ name, of, type }) => `@param ${name} ${type === 'u32' ? `elements along ${of}` : `attribute ${of}`}`,
    ),
];

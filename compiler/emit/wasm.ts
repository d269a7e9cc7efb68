/** Emits WebAssembly kernels: one module a file, with the bytes as text and, above each kernel, what they say. */
import type { CompiledOp } from '../compile.ts';
import { eachCode, eachStatement } from '../kernel/collect.ts';
import type { Kernel, Phase, Routine } from '../kernel/kernel.ts';
import { type EmitOptions, header } from './header.ts';
import { commentOf, type NamedKernel } from './op.ts';
import { printStatements } from './printer.ts';
import { createCoder } from './wasm-code.ts';
import { createFunctions } from './wasm-functions.ts';
import { type Binaryen, loadBinaryen, type Module, openModule, type Ref } from './wasm-module.ts';
import { wasmText } from './wasm-text.ts';

/** Bytes between the numbers of a call in memory. */
const slotBytes = 8;

/** The name under which a module exports a routine, or a phase as a whole. */
export const routineName = (kernel: string, { name }: Pick<Routine, 'name'>): string => `${kernel}_${name}`;
export const phaseName = (kernel: string, k: number): string => `${kernel}_phase_${k + 1}`;

export async function emitWasm(
  op: CompiledOp,
  members: readonly NamedKernel[],
  options: EmitOptions,
): Promise<string> {
  const bytes = buildModule(await loadBinaryen(), members);
  const lines = members.flatMap((named) => ['', ...commentOf(op, named), '', ...printKernel(named)]);
  const comment = lines.map((line) => ` * ${line.replaceAll('*/', '* /')}`.trimEnd());
  return `// ${header(options)}

/**
 * WebAssembly, in base64. Exports take the address of the call's numbers, 8 bytes each: the bindings' addresses, then
 * the uniforms; and a range of parts or kept indices.
${comment.join('\n')}
 */
export const module = '${encodeBase64(bytes)}';
`;
}

/** In characters that need no escaping in any target. */
function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000)
    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

function printKernel({ kernel }: NamedKernel): string[] {
  return kernel.phases.flatMap(({ routines }, k) => [
    `phase ${k + 1}`,
    ...routines.flatMap(({ name, over, begin, end, body }) => [
      `  ${name}, for ${over} from ${begin} to ${end}:`,
      ...printStatements(body, wasmText, '    ').split('\n'),
    ]),
  ]);
}

export function buildModule(
  binaryen: Binaryen,
  members: readonly Pick<NamedKernel, 'name' | 'kernel'>[],
): Uint8Array {
  const m = openModule(binaryen);
  try {
    const functions = createFunctions(binaryen, m);
    for (const { name, kernel } of members) {
      for (const [k, phase] of kernel.phases.entries()) {
        for (const routine of phase.routines) {
          const id = routineName(name, routine);
          addRoutine(binaryen, m, functions, kernel, routine, id);
          m.addFunctionExport(id, id);
        }
        if (phase.routines.length > 1) addPhase(binaryen, m, name, phase, k);
      }
    }
    return m.emitBinary();
  } finally {
    m.dispose();
  }
}

/** Parameters of every exported function: the address of the call's numbers, and a range. */
const parametersOf = ({ createType, i32 }: Binaryen): number => createType([i32, i32, i32]);

function addRoutine(
  binaryen: Binaryen,
  m: Module,
  functions: ReturnType<typeof createFunctions>,
  kernel: Kernel,
  routine: Routine,
  id: string,
): void {
  const bindings = new Map(kernel.bindings.map((binding) => [binding.name, binding]));
  const coder = createCoder(binaryen, m, functions, bindings, 3);
  const setup: Ref[] = [
    m.local.set(coder.declare(routine.begin, 'index'), m.local.get(1, binaryen.i32)),
    m.local.set(coder.declare(routine.end, 'index'), m.local.get(2, binaryen.i32)),
  ];
  const used = namesUsed(routine);
  for (const [slot, { name, isReal }] of argumentsOf(kernel).entries()) {
    if (!used.has(name)) continue;
    const address = m.local.get(0, binaryen.i32);
    const offset = slot * slotBytes;
    const value = isReal ? m.f64.load(offset, 8, address) : m.i32.load(offset, 4, address);
    setup.push(m.local.set(coder.declare(name, isReal ? 'real' : 'index'), value));
  }
  const body = coder.block(routine.body);
  m.addFunction(
    id,
    parametersOf(binaryen),
    binaryen.none,
    [...coder.types()],
    m.block(null, [...setup, body]),
  );
}

/** What a call's numbers are, in order. */
const argumentsOf = ({ bindings, uniforms }: Kernel): { name: string; isReal: boolean }[] => [
  ...bindings.map(({ name }) => ({ name, isReal: false })),
  ...uniforms.map(({ name, type }) => ({ name, isReal: type === 'f32' })),
];

function namesUsed({ body }: Routine): Set<string> {
  const used = new Set<string>();
  eachCode(body, (code) => {
    if (code.code === 'name') used.add(code.name);
    if (code.code === 'load') used.add(code.array);
  });
  for (const s of eachStatement(body)) if (s.do === 'store') used.add(s.array);
  return used;
}

/** All routines of a phase in turn, for each kept index of the range. */
function addPhase(binaryen: Binaryen, m: Module, kernel: string, { routines }: Phase, k: number): void {
  const { i32, none } = binaryen;
  const at = (): Ref => m.local.get(1, i32);
  const next = (): Ref => m.i32.add(at(), m.i32.const(1));
  const calls = routines.map((routine) =>
    m.call(routineName(kernel, routine), [m.local.get(0, i32), at(), next()], none),
  );
  const body = m.loop(
    'each',
    m.if(
      m.i32.lt_u(at(), m.local.get(2, i32)),
      m.block(null, [...calls, m.local.set(1, next()), m.br('each')]),
    ),
  );
  const id = phaseName(kernel, k);
  m.addFunction(id, parametersOf(binaryen), none, [], body);
  m.addFunctionExport(id, id);
}

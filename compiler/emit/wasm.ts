/** Emits WebAssembly kernels: one module a file, its bytes in base64, and above them what they do. */
import type { CompiledOp } from '../compile.ts';
import { eachStatement } from '../kernel/collect.ts';
import { isIndex, type Statement } from '../kernel/kernel.ts';
import { type EmitOptions, header } from './header.ts';
import { inlineValues } from './inline.ts';
import type { NamedKernel } from './op.ts';
import { type Language, printCode, printStatements } from './printer.ts';
import type { Assemble } from './tools.ts';
import { createCoder } from './wasm-code.ts';
import { createFunctions, type Functions } from './wasm-functions.ts';
import { type Binaryen, loadBinaryen, type Module, openModule, type Ref } from './wasm-module.ts';
import { codeOf, type ModulePlan, type ModuleRoutine, type RoutineCode } from './wasm-plan.ts';
import { wasmText } from './wasm-text.ts';

/** Bytes between the numbers of a call in memory. */
const slotBytes = 8;

export async function emitWasm(
  op: CompiledOp,
  members: readonly NamedKernel[],
  plan: ModulePlan,
  options: EmitOptions,
): Promise<string> {
  const bytes = options.tools.assemble(codeOf(plan));
  const lines = [
    ...members.map((named) => summaryOf(named, plan)),
    '',
    ...plan.routines.flatMap(printRoutine),
  ];
  const comment = lines.map((line) => line.replaceAll('*/', '* /').trimEnd());
  return `// ${header(options)}

/*
WebAssembly of ${op.entry.name}, in base64. It imports a shared memory, env.memory, the address of 256 KiB that the thread
has to itself, env.own, and JavaScript's Math as math. Each function takes the address of the call's numbers, 8 bytes
each, and a range of parts or of kept indices.

${comment.join('\n')}
*/
export const module =
  '${encodeBase64(await bytes)}';
`;
}

/** In characters that need no escaping in any target. */
function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  const step = 0x8000;
  for (let i = 0; i < bytes.length; i += step) text += String.fromCharCode(...bytes.subarray(i, i + step));
  return btoa(text);
}

/** What a kernel computes and by which routines; those of one phase are joined by +. */
function summaryOf({ name, kernel }: NamedKernel, plan: ModulePlan): string {
  const written = kernel.bindings.filter(({ role, access }) => role !== 'scratch' && access !== 'read');
  const phases = plan.phasesOf(kernel).map(({ names }) => names.join(' + '));
  return `${name}: ${written.map((binding) => binding.name).join(', ')} by ${phases.join(', then ')}`;
}

/** A routine as a reader wants it: without the arithmetic of places, and what is repeated where it comes from. */
function printRoutine({ name, routine }: ModuleRoutine): string[] {
  const repeats = new Map<string, Extract<Statement, { do: 'repeat' }>>();
  eachStatement(routine.body, (s) => {
    if (s.do === 'repeat') repeats.set(s.name, s);
  });
  const load: Language['load'] = (array, position, ...of) => {
    const source = repeats.get(array);
    if (!source) return wasmText.load(array, position, ...of);
    const start = isIndex(source.at, 0) ? '' : `${printCode(source.at, wasmText)} + `;
    return wasmText.load(source.array, start + position, ...of);
  };
  const language: Language = { ...wasmText, load };
  const text = printStatements(withoutIndices(routine.body), language, '  ');
  const lines = text
    .split('\n')
    .map((line) => line.replace(/^ +/, (indent) => ' '.repeat(indent.length / 2)));
  return [`${name}, for ${routine.over} from ${routine.begin} to ${routine.end}:`, ...lines];
}

function withoutIndices(body: readonly Statement[]): Statement[] {
  return body.flatMap((s): Statement[] => {
    if ('value' in s && s.do !== 'store' && s.value.type === 'index') return [];
    if (s.do === 'repeat') return [];
    if (!('body' in s)) return [s];
    const inner = withoutIndices(s.body);
    return inner.length === 0 ? [] : [{ ...s, body: inner }];
  });
}

/** The bytes of a module. */
export const assemble: Assemble = async (code) => buildModule(await loadBinaryen(), code);

function buildModule(binaryen: Binaryen, routines: readonly RoutineCode[]): Uint8Array {
  const m = openModule(binaryen);
  try {
    const functions = createFunctions(binaryen, m);
    for (const routine of routines) addRoutine(binaryen, m, functions, routine);
    // all passes together save 15 % of the bytes, and take a fifth of the time of a build
    m.runPasses(['duplicate-function-elimination', 'simplify-locals-nostructure', 'vacuum']);
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
  functions: Functions,
  { name, routine, bindings, used }: RoutineCode,
): void {
  const { i32, none } = binaryen;
  const byName = new Map(bindings.map((binding) => [binding.name, binding]));
  const coder = createCoder(binaryen, m, functions, byName, 3);
  const setup: Ref[] = [
    m.local.set(coder.declare(routine.begin, 'index'), m.local.get(1, i32)),
    m.local.set(coder.declare(routine.end, 'index'), m.local.get(2, i32)),
  ];
  for (const { name: id, slot, isReal } of used) {
    const numbers = m.local.get(0, i32);
    const offset = slot * slotBytes;
    const value = isReal ? m.f64.load(offset, 8, numbers) : m.i32.load(offset, 4, numbers);
    setup.push(m.local.set(coder.declare(id, isReal ? 'real' : 'index'), value));
  }
  const body = coder.block(inlineValues(routine.body));
  m.addFunction(name, parametersOf(binaryen), none, [...coder.types()], m.block(null, [...setup, body]));
  m.addFunctionExport(name, name);
}

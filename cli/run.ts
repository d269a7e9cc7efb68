/** `normgrad run`: evaluates an op on the numbers of a request. */
import { compile } from '../compiler/compile.ts';
import { didYouMean, listed, quoted } from '../compiler/spec/codes.ts';
import { parseSpec } from '../compiler/spec/parse.ts';
import type { Direction, Entry } from '../compiler/spec/spec.ts';
import { checkNames } from '../runtime/call.ts';
import { fail, NormgradError } from '../runtime/error.ts';
import { cpu, type OpDescription, webgpu } from '../runtime/index.ts';
import { oneOf, type Values } from './arguments.ts';
import { Failure, type Io, reasonOf, UsageError } from './io.ts';
import { parseJson, writeNumber } from './json.ts';
import { type Case, type Request, readCase, readRequest } from './request.ts';
import { type Engine, type NamedNumbers, named, startSession } from './session.ts';
import { defaultSpec, readSpec, showDiagnostics } from './spec.ts';
import { differentiableOf, isStill, stillAnswers } from './still.ts';
import { readBytes, textOf } from './text.ts';

const targets = ['interpret', 'typescript', 'wasm', 'wgsl'] as const;
const dtypes = ['f32', 'f64'] as const;
const isSingle = (target: string): boolean => target === 'wasm' || target === 'wgsl';

/** Prints the answer to a request. Exit status 0 where the request could be read, whatever became of its cases. */
export async function run(values: Values, io: Io): Promise<number> {
  const { options } = values;
  const target = oneOf('target', options.get('target') ?? 'typescript', targets);
  const dtype = oneOf('dtype', options.get('dtype') ?? (isSingle(target) ? 'f32' : 'f64'), dtypes);
  if (isSingle(target) && dtype === 'f64') throw new UsageError(`${target} has no f64; use --dtype f32`);
  const request = await findRequest(values.operands[0]!, io);
  const file = options.get('spec') ?? defaultSpec;
  const text = await readSpec(file, 'normgrad run REQUEST --spec SPEC');
  const { spec, diagnostics } = parseSpec(text, file);
  if (diagnostics.length > 0) {
    showDiagnostics({ diagnostics, text, file }, options.has('json'), io);
    return 1;
  }
  const entry = findEntry(request, spec.entries, file);
  const layout = readLayout(options.get('layout'), entry);
  const cases = request.cases.map(readOrFail);
  const [op, dispose] =
    target === 'interpret'
      ? [(await import('./interpreter.ts')).interpreted(entry), () => {}]
      : await loadOp(text, file, entry, {
          target,
          layout,
          directions: directionsOf(cases),
          subsets: subsetsOf(cases, entry),
        });
  try {
    const device =
      target === 'wgsl' ? await openGpu(io) : cpu({ target: target === 'wasm' ? 'wasm' : 'typescript' });
    const answers = [];
    for (const [i, read] of cases.entries()) {
      const answer = await answerCase({ device, dtype }, { op, entry, layout }, read);
      answers.push({ ...idOf(request.cases[i]), ...answer });
    }
    io.out(`${JSON.stringify({ cases: answers })}\n`);
  } finally {
    dispose();
  }
  return 0;
}

async function findRequest(operand: string, io: Io): Promise<Request> {
  const isPiped = operand === '-';
  const name = isPiped ? 'standard input' : operand;
  const bytes = isPiped ? await io.input() : await readBytes(operand);
  return readRequest(parseJson(textOf(bytes, name), name), name);
}

function findEntry({ op }: Request, entries: readonly Entry[], file: string): Entry {
  const found = entries.find(({ name }) => name === op);
  if (found) return found;
  const names = entries.map(({ name }) => name);
  const hint = didYouMean(op, names) ?? `it has ${listed(names)}`;
  throw new Failure(`there is no op ${quoted(op)} in ${file}; ${hint}`);
}

function readLayout(asked: string | undefined, { name, layouts }: Entry): string {
  const written = layouts.map((order) => order.join(' '));
  if (asked === undefined) return written[0]!;
  const layout = asked
    .trim()
    .split(/[\s,]+/)
    .join(' ');
  if (written.includes(layout)) return layout;
  throw new UsageError(`${name} has no layout ${quoted(layout)}; it has ${listed(written)}`);
}

/** A case, or what is wrong with it. */
function readOrFail(value: unknown): Case | NormgradError {
  try {
    return readCase(value);
  } catch (error) {
    if (error instanceof NormgradError) return error;
    throw error;
  }
}

/** The id of a case, if it has one. */
function idOf(value: unknown): { id?: unknown } {
  return typeof value === 'object' && value !== null && 'id' in value ? { id: value.id } : {};
}

function directionsOf(cases: readonly (Case | NormgradError)[]): Direction[] {
  const asked = cases.flatMap((read) => (read instanceof NormgradError ? [] : [read]));
  return [
    'forward',
    ...(asked.some(({ cotangents }) => cotangents) ? ['backward' as const] : []),
    ...(asked.some(({ tangents }) => tangents) ? ['jvp' as const] : []),
    ...(asked.some(({ cotangents2 }) => cotangents2) ? ['double_backward' as const] : []),
  ];
}

interface Wanted {
  readonly target: 'typescript' | 'wasm' | 'wgsl';
  readonly layout: string;
  readonly directions: readonly Direction[];
  readonly subsets: readonly (readonly string[])[];
}

/** The gradients asked for together; all of them are there anyway. */
function subsetsOf(cases: readonly (Case | NormgradError)[], entry: Entry): string[][] {
  const known = differentiableOf(entry);
  return cases.flatMap((read) => {
    if (read instanceof NormgradError) return [];
    const asked = [read.wrt ?? [], [...(read.cotangents2?.keys() ?? [])]];
    return asked
      .map((names) => known.filter((name) => names.includes(name)))
      .filter((names) => names.length > 0);
  });
}

/** The op as it would be generated, with the directions that are asked for, whether or not the spec generates them. */
async function loadOp(
  text: string,
  file: string,
  entry: Entry,
  { target, layout, directions, subsets }: Wanted,
): Promise<[OpDescription, () => void]> {
  const adapt = (e: Entry): Entry => ({
    ...e,
    generate: directions,
    layouts: [layout.split(' ')],
    // Where every subset is generated, those that are asked for will do.
    ...(!e.wrt && differentiableOf(e).length <= 4 && { wrt: subsets }),
  });
  const { files } = await compile(text, { file, targets: [target], only: entry.name, adapt });
  const { load } = await import('./load.ts');
  const { ops, dispose } = await load(files);
  return [ops.get(entry.name)!, dispose];
}

async function openGpu(io: Io) {
  const { openDevice } = await import('./device.ts');
  const { device, description } = await openDevice().catch((error: unknown) => {
    throw new Failure(reasonOf(error));
  });
  io.err(`on ${description}\n`);
  return webgpu(device);
}

interface Callee {
  readonly op: OpDescription;
  readonly entry: Entry;
  readonly layout: string;
}

async function answerCase(engine: Engine, callee: Callee, read: Case | NormgradError): Promise<object> {
  try {
    if (read instanceof NormgradError) throw read;
    return await answer(engine, callee, read);
  } catch (error) {
    const code = error instanceof NormgradError ? error.code : 'internal';
    return { error: { code, message: reasonOf(error) } };
  }
}

async function answer(engine: Engine, { op, entry, layout }: Callee, asked: Case): Promise<object> {
  const { cotangents, wrt, tangents, cotangents2 } = asked;
  if (wrt?.length === 0) fail('missing', `${op.name}: wrt names no input; leave it out for all of them`);
  named(op, () => checkNames(differentiableOf(entry), wrt ?? [], 'wrt'));
  const session = await startSession(engine, op, asked, layout);
  try {
    const outputs = await session.outputs();
    const found = isStill(asked, entry)
      ? named(op, () => stillAnswers(asked, entry, outputs))
      : {
          gradients: cotangents && (await session.gradients(cotangents, wrt)),
          tangents: tangents && (await session.tangents(tangents)),
          second: cotangents && cotangents2 && (await session.second(cotangents, cotangents2)),
        };
    const returns = namesOf(entry.returns);
    const arguments_ = namesOf(entry.arguments);
    const { gradients, tangents: moved, second } = found;
    return {
      outputs: write(outputs, [...returns, ...namesOf(entry.update)]),
      ...(gradients && { gradients: write(gradients, arguments_) }),
      ...(moved && { tangents: write(moved, returns) }),
      ...(second && { second: write(second, [...returns.map((name) => `grad_${name}`), ...arguments_]) }),
    };
  } finally {
    session.dispose();
  }
}

const namesOf = (named: readonly { readonly name: string }[]): string[] => named.map(({ name }) => name);

/** Those of the tensors that have these names, in their order. */
const write = (tensors: NamedNumbers, names: readonly string[]): object =>
  Object.fromEntries(
    names.flatMap((name) => {
      const data = tensors.get(name);
      return data ? [[name, data.map(writeNumber)]] : [];
    }),
  );

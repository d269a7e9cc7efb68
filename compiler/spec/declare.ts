/** Makes the arguments and returns of an entry from its signature and the keys that say more about them. */
import { didYouMean, listed, quoted, type Report } from './codes.ts';
import {
  type Field,
  fieldsOf,
  numberOf,
  type Source,
  spanOf,
  truthOf,
  type Word,
  wordListsOf,
  wordOf,
  wordsOf,
} from './document.ts';
import { commonOrder } from './order.ts';
import type { Parameter, Signature } from './signature.ts';
import type { Argument, Axis, Direction, Entry, Return } from './spec.ts';
import { meaningOf } from './words.ts';

export type Fields = ReadonlyMap<string, Field>;

export type Declared = Pick<
  Entry,
  'arguments' | 'returns' | 'axes' | 'absent' | 'together' | 'layouts' | 'generate'
> & { readonly wrt: Entry['wrt'] | undefined };

/** Words with the names among which each must be; what is not is reported and left out. */
function among(words: readonly Word[], names: readonly string[], what: string, report: Report): Word[] {
  return words.filter(({ word, span }) => {
    if (names.includes(word)) return true;
    report(
      'unknown-name',
      span,
      `${quoted(word)} is no ${what}`,
      didYouMean(word, names) ?? `there is ${listed(names)}`,
    );
    return false;
  });
}

export function declare(source: Source, signature: Signature, fields: Fields): Declared {
  const { report } = source;
  checkNames(signature, report);
  const names = signature.parameters.flatMap((p) => (p.kind === 'tensor' ? [p.id.name] : []));
  const constant = fields.get('non_differentiable');
  const words = constant
    ? (wordsOf(source, constant.value, constant.keySpan, quoted(constant.key)) ?? [])
    : [];
  const fixed = new Set(among(words, names, 'tensor argument', report).map(({ word }) => word));
  const args = signature.parameters.map((parameter) => argumentOf(parameter, fixed));
  const returns = returnsOf(source, signature, fields);
  const tensors = [...args, ...returns].flatMap((one) => ('axes' in one ? [one.axes] : []));
  const axes = commonOrder(tensors);
  return {
    arguments: args,
    returns,
    axes,
    absent: absentOf(source, args, fields),
    together: togetherOf(source, args, fields),
    layouts: layoutsOf(source, axes, fields),
    generate: generateOf(source, fields),
    wrt: wrtOf(source, args, fields),
  };
}

function checkNames(signature: Signature, report: Report): void {
  const seen = new Set<string>();
  const results = new Set(signature.returns.map(({ id }) => `grad_${id.name}`));
  for (const { id } of [...signature.parameters, ...signature.returns]) {
    const { name, span } = id;
    const meaning = meaningOf(name);
    if (meaning)
      report('reserved-name', span, `${quoted(name)} has a meaning ${meaning}, and cannot be a name`);
    if (results.has(name)) report('reserved-name', span, `${quoted(name)} is the name of a cotangent here`);
    if (seen.has(name)) report('duplicate-name', span, `${quoted(name)} is there twice`);
    seen.add(name);
  }
  checkNumbers(signature, report);
}

/** The numbers of a call are attributes, sizes by axis, and for each optional tensor whether it is given. */
function checkNumbers({ parameters, returns }: Signature, report: Report): void {
  const shapes = [...parameters, ...returns].flatMap((one) => ('shape' in one ? [one.shape] : []));
  const axes = shapes.flatMap((shape) => shape.axes);
  const attributes = parameters.flatMap(({ kind, id }) => (kind === 'tensor' ? [] : [{ kind, ...id }]));
  for (const { kind, name, span } of attributes) {
    if (kind === 'int' || !axes.some((axis) => axis.name === name)) continue;
    const isFold = shapes.some((s) => s.dimensions.some((d) => d.kind === 'fold' && d.axis === name));
    const hint = isFold ? 'choose another name' : `write 'int ${name}', or choose another name`;
    report('axis-kind', span, `${quoted(name)} is an axis, and only an int can be its size`, hint);
  }
  const optional = parameters.flatMap((p) => (p.kind === 'tensor' && p.optional ? [p.id.name] : []));
  for (const tensor of optional) {
    const same = [...attributes, ...axes].find(({ name }) => name === `given_${tensor}`);
    const message = `${quoted(`given_${tensor}`)} stands for whether ${quoted(tensor)} is given`;
    if (same) report('reserved-name', same.span, message, 'choose another name');
  }
}

function argumentOf(parameter: Parameter, fixed: ReadonlySet<string>): Argument {
  const { name, span } = parameter.id;
  const { keywordOnly } = parameter;
  if (parameter.kind !== 'tensor') {
    const { id, ...rest } = parameter;
    return { ...rest, name: id.name, span };
  }
  const { optional, state, shape } = parameter;
  const axes = shape.axes.map((axis) => axis.name);
  const differentiable = !state && !fixed.has(name);
  return {
    kind: 'tensor',
    name,
    dimensions: shape.dimensions,
    axes,
    optional,
    state,
    differentiable,
    keywordOnly,
    span,
  };
}

function returnsOf(source: Source, signature: Signature, fields: Fields): Return[] {
  const field = fields.get('output_differentiability');
  const words = field && wordsOf(source, field.value, field.keySpan, quoted(field.key));
  if (field && words && words.length !== signature.returns.length) {
    const expected = `${signature.returns.length} return${signature.returns.length === 1 ? '' : 's'}`;
    const span = spanOf(source, field.value, field.keySpan);
    source.report(
      'wrong-length',
      span,
      `${words.length} given for ${expected}: there is one for each return`,
    );
  }
  const truths = words?.map((word) =>
    truthOf(source, word, `an item of ${quoted('output_differentiability')}`),
  );
  return signature.returns.map(({ id, shape }, i) => ({
    ...id,
    dimensions: shape.dimensions,
    axes: shape.axes.map(({ name }) => name),
    differentiable: truths?.[i] ?? true,
  }));
}

const optionalOf = (args: readonly Argument[]): string[] =>
  args.flatMap((a) => (a.kind === 'tensor' && a.optional ? [a.name] : []));

/** Whether the word is an optional tensor; what else it is is reported. */
function isOptional({ word, span }: Word, args: readonly Argument[], report: Report): boolean {
  const optional = optionalOf(args);
  if (optional.includes(word)) return true;
  if (args.some(({ name }) => name === word)) {
    report(
      'not-optional',
      span,
      `${quoted(word)} is not an optional tensor`,
      "optional tensors are declared 'Tensor?'",
    );
  } else {
    among([{ word, span }], optional, 'optional tensor', report);
  }
  return false;
}

function absentOf(source: Source, args: readonly Argument[], fields: Fields): Map<string, number> {
  const field = fields.get('absent');
  const absent = new Map<string, number>();
  if (!field) return absent;
  for (const { key, keySpan, value } of fieldsOf(source, field.value, field.keySpan, quoted(field.key)) ??
    []) {
    const word = wordOf(source, value, keySpan, `the absent value of ${quoted(key)}`);
    if (!isOptional({ word: key, span: keySpan }, args, source.report) || !word) continue;
    const number = numberOf(word.word);
    if (number === undefined)
      source.report('wrong-type', word.span, `an absent value is a number, not ${quoted(word.word)}`);
    else absent.set(key, number);
  }
  return absent;
}

function togetherOf(source: Source, args: readonly Argument[], fields: Fields): string[][] {
  const field = fields.get('together');
  if (!field) return [];
  return (wordListsOf(source, field.value, field.keySpan, quoted(field.key)) ?? []).map(({ words }) =>
    (words ?? []).filter((word) => isOptional(word, args, source.report)).map(({ word }) => word),
  );
}

function layoutsOf(source: Source, axes: readonly Axis[], fields: Fields): (readonly Axis[])[] {
  const field = fields.get('layouts');
  if (!field) return [axes];
  const seen = new Set<string>();
  const lists = wordListsOf(source, field.value, field.keySpan, quoted(field.key));
  const layouts = lists?.flatMap(({ words, span }) => {
    if (!words) return [];
    const order = words.map(({ word }) => word);
    const known = among(words, axes, 'axis', source.report).length === words.length;
    if (!known) return [];
    const repeated = seen.has(order.join());
    seen.add(order.join());
    if (order.length === axes.length && new Set(order).size === axes.length && !repeated) return [order];
    const what = repeated
      ? 'this layout is there twice'
      : `a layout has each of the axes ${listed(axes)} once`;
    source.report('bad-layout', span, what);
    return [];
  });
  if (lists?.length === 0)
    source.report(
      'bad-layout',
      field.keySpan,
      'there is no layout',
      'leave the key out for the order of the signature',
    );
  return layouts?.length ? layouts : [axes];
}

const directions: readonly Direction[] = ['forward', 'backward', 'jvp', 'double_backward'];

function generateOf(source: Source, fields: Fields): Direction[] {
  const field = fields.get('generate');
  if (!field) return ['forward', 'backward'];
  const words = wordsOf(source, field.value, field.keySpan, quoted(field.key)) ?? [];
  const chosen = among(words, directions, 'direction', source.report).map(({ word }) => word);
  return directions.filter((direction) => chosen.includes(direction));
}

function wrtOf(source: Source, args: readonly Argument[], fields: Fields): string[][] | undefined {
  const field = fields.get('wrt');
  if (!field) return undefined;
  return (wordListsOf(source, field.value, field.keySpan, quoted(field.key)) ?? []).map(({ words, span }) => {
    if (!words) return [];
    if (words.length === 0) source.report('wrong-type', span, 'a subset of the gradients has at least one');
    const seen = new Set<string>();
    for (const word of words) {
      checkDifferentiable(word, args, source.report);
      if (seen.has(word.word))
        source.report('duplicate-name', word.span, `${quoted(word.word)} is there twice`);
      seen.add(word.word);
    }
    return [...seen];
  });
}

/** Whether the word is an argument that gradients are taken of; what else it is is reported. */
export function checkDifferentiable(
  { word, span }: Word,
  args: readonly Argument[],
  report: Report,
): boolean {
  const argument = args.find(({ name }) => name === word);
  const inputs = args.flatMap((a) => (a.kind === 'tensor' && a.differentiable ? [a.name] : []));
  if (argument?.kind === 'tensor' && argument.differentiable) return true;
  if (!argument) {
    among([{ word, span }], inputs, 'argument', report);
  } else {
    const why =
      argument.kind !== 'tensor'
        ? `it is '${argument.kind}'`
        : argument.state
          ? 'it is state'
          : "it is in 'non_differentiable'";
    report('not-differentiable', span, `${quoted(word)} has no gradient: ${why}`);
  }
  return false;
}

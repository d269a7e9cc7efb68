/** How a WebAssembly kernel reads: the text above its bytes. */
import type { Language } from './printer.ts';
import { typescript } from './typescript.ts';

const never = (what: string) => (): never => {
  throw new Error(`normgrad has a bug: ${what} in WebAssembly`);
};

export const wasmText: Language = {
  ...typescript,
  load: (array, index) => `${array}[${index}]`,
  rsqrt: (x) => `rsqrt(${x})`,
  sqrt: (x) => `sqrt(${x})`,
  divide: (a, b) => `(${a} / ${b})`,
  least: (a, b) => `min(${a}, ${b})`,
  greatest: (a, b) => `max(${a}, ${b})`,
  call: (fn, args) => `${fn}(${args.join(', ')})`,
  splat: (x) => `lanes(${x})`,
  first: (x) => `${x}[0]`,
  fold: (merge, accumulator) => `fold(${merge}, ${accumulator})`,
  own: 'own',
  joined: (rows, width, wanted) => `joined(${rows}, ${width}, ${wanted})`,
  equal: { '==': '==', '!=': '!=' },
  block: (inner) => `:\n${inner}`,
  statements: {
    let: ({ name, value }, print) => `${name} = ${print(value)}`,
    var: ({ name, value }, print) => `var ${name} = ${print(value)}`,
    assign: ({ name, value }, print) => `${name} = ${print(value)}`,
    store: ({ array, index, value }, print) => `${array}[${print(index)}] = ${print(value)}`,
    accumulator: ({ name, copies, identity }) => `var ${name} = ${copies} × f32x4(${identity})`,
    for: ({ name, from, below, body }, print, block) =>
      `for ${name} from ${print(from)} to ${print(below)}${block(body)}`,
    lanes: ({ name, from, below, copies, body }, print, block) =>
      `for ${name} from ${print(from)} to ${print(below)}, ${copies} × f32x4${block(body)}`,
    rows: ({ name, from, together, distance, apart, next, below, body }, print, block) =>
      `for ${name} from ${print(from)} to ${print(together)}, ${apart} abreast by ${print(distance)}, ` +
      `then from ${print(next)} to ${print(below)}${block(body)}`,
    each: ({ body }, _, block) => `each${block(body)}`,
    if: ({ test, body }, print, block) => `if ${print(test)}${block(body)}`,
    repeat: ({ name, array, at, width, times, into, place }, print) =>
      `${name} = repeat(${array}, ${print(at)}, ${print(width)}, ${print(times)}, ${into}, ${print(place)})`,
    call: ({ what, from, below }, print) => `${what} from ${print(from)} to ${print(below)}`,
    run: never('run'),
    array: never('array'),
    outlined: never('outlined'),
    return_if: never('return_if'),
  },
};

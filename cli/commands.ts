/** Every command with its options; what a command does is loaded when it is called. */
import type { Command, Option } from './arguments.ts';

const json: Option = { name: 'json', summary: 'diagnostics and tables as JSON, on standard output' };

const build: Command = {
  name: 'build',
  operands: '[SPEC]',
  least: 0,
  most: 1,
  summary: 'compile a spec to generated files',
  details: `Compiles SPEC (derivatives.yaml) and writes kernels, an index and a manifest under DIR (generated).
Files that would not change are not touched, and those that an earlier build left and this one does not write are removed. Only files that carry normgrad's header are ever replaced or removed, and the output of another build in a folder below stays. Either everything is written or, after a mistake in the spec, nothing.

With --only OP just that op is compiled: its folder is replaced, its lines in the index and the manifest too, and the files of other ops stay as they are.`,
  options: [
    { name: 'out', value: 'DIR', summary: 'where to write; `generated` by default' },
    { name: 'target', value: 'LIST', summary: '`typescript`, `wasm`, `wgsl`, with commas; all by default' },
    { name: 'only', value: 'OP', summary: 'compile this op alone' },
    { name: 'check', summary: 'write nothing; exit 1 and show a diff if DIR is not what would be written' },
    { name: 'watch', summary: 'build again whenever the spec is saved, until interrupted' },
    json,
  ],
  examples: [
    ['normgrad build', 'derivatives.yaml to generated/'],
    ['normgrad build --check', 'for CI: is what was committed up to date?'],
    ['normgrad build my.yaml --out src/ops --target typescript --watch', 'while writing a spec'],
  ],
  load: async () => (await import('./build.ts')).build,
};

const verify: Command = {
  name: 'verify',
  operands: '[SPEC]',
  least: 0,
  most: 1,
  summary: 'check every kernel against finite differences and the claims',
  details: `Compiles SPEC (derivatives.yaml) in memory and checks every op, in every variant, direction, layout and subset of gradients, on random inputs of several shapes:

  interpret    the derivation, evaluated as a graph in f64, against finite differences of the forward
  order        at which central differences converge to the derivation, at 64 digits, steps 1e-4 to 1e-10:
               2, \`exact\` where they are (a polynomial of degree 2), or the derivation is wrong
  typescript   generated functions in f64 and f32, against the interpreter
  wasm         generated WebAssembly in f32, against the interpreter
  wgsl         generated WGSL in f32, on a GPU or a software one, against the interpreter

and the formulas that the spec claims (gradients, tangents, second) against the derivation. Errors are relative to the largest element of a tensor, or where an exact result would cancel to less than rounding can tell, to that rounding. Tolerances: 1e-6 for finite differences, 1e-9 in f64, 2e-5 in f32 (1e-4 for double backward). Where a kink (relu, max, clamp) is too near, another sample is drawn; where it always is, that is reported. With --json, \`sweep\` has the error at every step.

Golden vectors, for --golden, are lists of numbers in the order of the signature, here of an op with y = x * w:

  {"op": "scale", "cases": [{
    "id": "any text", "shape": [2], "inputs": {"x": [1, 2], "w": null}, "outputs": {"y": [1, 2]},
    "vjp": {"dy": [1, 1], "grads": {"x": [1, 1]}},
    "jvp": {"tangents": {"x": [1, 0]}, "dy": [1, 0]},
    "double_backward": {"cotangents": {"x": [1, 0]}, "grads": {"dy": [1, 0], "x": [0, 0]}}}]}

\`shape\` is that of the first tensor; attributes stand beside it. Derivatives may be left out, and the double backward takes the cotangents of \`vjp\`. A file that has anything that would not be checked is refused.`,
  options: [
    { name: 'only', value: 'OP', summary: 'check this op alone' },
    {
      name: 'target',
      value: 'LIST',
      summary: '`interpret`, `typescript`, `wasm`, `wgsl`, with commas; all by default',
    },
    {
      name: 'golden',
      value: 'FILE',
      summary:
        'check the vectors of a file as well, e.g. from PyTorch; its `op`, or else its name, says of which op',
    },
    json,
  ],
  examples: [
    ['normgrad verify', 'everything, on every target'],
    ['normgrad verify --only layer_norm --target interpret,typescript,wasm', 'one op, without a GPU'],
    ['normgrad verify --golden test/golden/batch_norm.json', 'against recorded results too'],
  ],
  load: async () => (await import('./verify.ts')).verify,
};

const explain: Command = {
  name: 'explain',
  operands: 'OP',
  least: 1,
  most: 1,
  summary: 'show how derivatives are derived, step by step',
  details: `Derives OP as the compiler does and shows every step with the rule that allows it: the forward, its differentiation by hand, the algebra of sums, the final formulas, and the kernels. That is reverse mode for the gradients (backward), forward mode for the tangents (jvp), and for the double backward reverse mode over the formulas of the gradients. Formulas in text are in the language of the spec, but for others(a, n), the product over n of the elements other than each one's own. A page in HTML has the graph and the kernels' code as well, and needs nothing else; LaTeX is a document of its own.

A variant is named by its true flags and given tensors, e.g. "weight bias training".`,
  options: [
    {
      name: 'variant',
      value: 'NAMES',
      mayBeEmpty: true,
      summary: 'which variant, "" for that without any; the first by default, several with commas',
    },
    {
      name: 'direction',
      value: 'LIST',
      summary: '`backward` (the default), `jvp`, `double_backward`, several with commas',
    },
    {
      name: 'wrt',
      value: 'NAMES',
      summary: 'the arguments to differentiate by, all by default; the others are held fixed',
    },
    { name: 'format', value: 'FORMAT', summary: '`text` (the default), `latex` or `html`' },
    { name: 'spec', value: 'SPEC', summary: 'where the op is defined; `derivatives.yaml` by default' },
    { name: 'out', value: 'FILE', summary: 'write to a file instead of standard output' },
    json,
  ],
  examples: [
    ['normgrad explain batch_norm --wrt x', 'why the gradient is what it is'],
    [
      'normgrad explain batch_norm --variant "weight bias running_mean running_var" --wrt x',
      'with frozen statistics',
    ],
    ['normgrad explain batch_norm --direction jvp,double_backward', 'forward mode and second order'],
    ['normgrad explain layer_norm --format html --out layer_norm.html', 'as a page'],
  ],
  load: async () => (await import('./explain.ts')).explain,
};

const run: Command = {
  name: 'run',
  operands: 'REQUEST',
  least: 1,
  most: 1,
  summary: 'evaluate an op on given numbers',
  details: `Reads one JSON object from the file REQUEST, or from standard input for \`-\`, and prints one:

  {"op": "rms_norm", "cases": [{
    "id": "any text",
    "inputs": {"x": {"shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}, "weight": null},
    "attributes": {"eps": 1e-6},
    "cotangents": {"y": [1, 0, 0, 0, 0, 0]},
    "wrt": ["x"]}]}

Data is row-major in the order of the signature. \`cotangents\` asks for gradients, \`tangents\` for forward mode, and \`cotangents2\` beside \`cotangents\` for the double backward. NaN and infinities are the strings "NaN", "Infinity" and "-Infinity". \`outputs\` has every return and every state that the op has an update for. A case that cannot run has an \`error\` with \`code\` and \`message\` instead; the others still run, and the exit status is 0.`,
  options: [
    { name: 'spec', value: 'SPEC', summary: 'where the op is defined; `derivatives.yaml` by default' },
    { name: 'target', value: 'TARGET', summary: '`interpret`, `typescript` (the default), `wasm` or `wgsl`' },
    {
      name: 'dtype',
      value: 'f32|f64',
      summary: 'element type; f64 by default, f32 for wasm and wgsl, which have no f64',
    },
    {
      name: 'layout',
      value: "'n s c'",
      summary: 'run the kernels of this physical order of the axes; data stays as above',
    },
    json,
  ],
  examples: [
    ['normgrad run request.json', 'generated TypeScript, in f64'],
    ["normgrad run request.json --target wgsl --layout 'n s c'", 'generated WGSL, channels last'],
    ['echo \'{"op": "rms_norm", "cases": []}\' | normgrad run -', 'from a pipe'],
  ],
  load: async () => (await import('./run.ts')).run,
};

export const commands: readonly Command[] = [build, verify, explain, run];

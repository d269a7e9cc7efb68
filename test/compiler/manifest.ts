/** The manifest of one op as its reader sees it. */

interface KernelEntry {
  readonly file: string;
  /** Not of WebAssembly. */
  readonly entryPoint?: string;
  /** WebAssembly only. */
  readonly phases?: readonly string[];
  readonly workgroups?: string;
  readonly bindings: readonly string[];
  readonly uniforms: readonly string[];
  /** Labels. */
  readonly reductions: readonly string[];
  readonly reads?: Counts;
  readonly writes?: Counts;
}

export interface ReductionEntry {
  readonly op: string;
  readonly over: readonly string[];
  readonly of: string;
}

export interface PhaseEntry {
  readonly blocks?: string;
  readonly strips?: string;
  readonly routines?: { readonly [name: string]: 'kept' | 'parts' };
  readonly together: string;
}

export type ManifestTarget = 'wgsl' | 'wasm' | 'typescript';
type Counts = { readonly [binding: string]: number };
/** A kernel that may run alone, or others in its place. */
interface Choice {
  readonly whole: string;
  readonly otherwise: readonly string[];
}
type Sequence = { readonly [target in ManifestTarget]?: readonly (string | Choice)[] };
type Subsets = { readonly [wrt: string]: Sequence };

interface LayoutEntry {
  readonly forward: Sequence;
  readonly backward?: Subsets;
  readonly jvp?: Sequence;
  readonly double_backward?: Subsets;
}

export interface BindingEntry {
  readonly name: string;
  readonly role: string;
  readonly of?: string;
  readonly axes: readonly string[];
  readonly access: string;
}

export interface OpManifest {
  readonly op: string;
  readonly axes: readonly string[];
  readonly bindings: { readonly [label: string]: BindingEntry };
  readonly uniforms: { readonly [name: string]: { readonly of: string; readonly type: string } };
  readonly reductions: { readonly [label: string]: ReductionEntry };
  /** Of the WebAssembly kernels, which are described in a file of their own. */
  readonly phases: { readonly [label: string]: PhaseEntry };
  readonly kernels: { readonly [target in ManifestTarget]: { readonly [name: string]: KernelEntry } };
  readonly variants: {
    readonly [key: string]: { readonly layouts: { readonly [order: string]: LayoutEntry } };
  };
}

/** The op's manifest with that of its WebAssembly kernels, whose labels get a prefix. */
export function readManifest(files: ReadonlyMap<string, string>, op: string): OpManifest {
  const manifest = JSON.parse(files.get(`${op}/manifest.json`)!);
  const modules = JSON.parse(files.get(`${op}/${manifest.kernels.wasm}`)!);
  const prefixed = (label: string): string => `wasm ${label}`;
  const labelled = (table: object): object =>
    Object.fromEntries(Object.entries(table).map(([label, value]) => [prefixed(label), value]));
  const kernels = Object.entries<KernelEntry>(modules.kernels).map(([name, kernel]) => [
    name,
    { ...kernel, bindings: kernel.bindings.map(prefixed), reductions: kernel.reductions.map(prefixed) },
  ]);
  return {
    ...manifest,
    bindings: { ...manifest.bindings, ...labelled(modules.bindings) },
    uniforms: { ...manifest.uniforms, ...modules.uniforms },
    reductions: { ...manifest.reductions, ...labelled(modules.reductions) },
    phases: modules.phases,
    kernels: { ...manifest.kernels, wasm: Object.fromEntries(kernels) },
  };
}

export interface SequenceOf {
  readonly variant: string;
  readonly layout: string;
  readonly direction: string;
  readonly wrt: string;
  /** The kernels to run, in order, where none has to be cut into blocks. */
  readonly kernels: readonly string[];
  /** Where some have to. */
  readonly otherwise: readonly string[];
}

const wholeOf = (step: string | Choice): string => (typeof step === 'string' ? step : step.whole);
const otherwiseOf = (step: string | Choice): readonly string[] =>
  typeof step === 'string' ? [step] : step.otherwise;

/** Every direction of every variant and layout. */
export function sequencesOf(manifest: OpManifest, target: ManifestTarget): SequenceOf[] {
  return Object.entries(manifest.variants).flatMap(([variant, { layouts }]) =>
    Object.entries(layouts).flatMap(([layout, { forward, backward, jvp, double_backward: double }]) => {
      const one = (direction: string, sequence: Sequence, wrt = ''): SequenceOf => ({
        variant,
        layout,
        direction,
        wrt,
        kernels: sequence[target]!.map(wholeOf),
        otherwise: sequence[target]!.flatMap(otherwiseOf),
      });
      const many = (direction: string, subsets: Subsets = {}): SequenceOf[] =>
        Object.entries(subsets).map(([wrt, sequence]) => one(direction, sequence, wrt));
      return [
        one('forward', forward),
        ...many('backward', backward),
        ...(jvp ? [one('jvp', jvp)] : []),
        ...many('double_backward', double),
      ];
    }),
  );
}

export interface Work {
  /** Where no kernel leaves partial results. */
  readonly dispatches: number;
  /** Kernels that reduce, and all that they reduce. */
  readonly passes: number;
  readonly reductions: readonly ReductionEntry[];
  /** Accesses per element of the full-size tensors. */
  readonly reads: Counts;
  readonly writes: Counts;
}

/** What a direction does, over all its kernels. */
export function workOf(
  manifest: OpManifest,
  target: ManifestTarget,
  wanted: Omit<SequenceOf, 'kernels' | 'otherwise'>,
  ways: 'kernels' | 'otherwise' = 'kernels',
): Work {
  const found = sequencesOf(manifest, target).find((s) =>
    (['variant', 'layout', 'direction', 'wrt'] as const).every((key) => s[key] === wanted[key]),
  );
  if (!found) throw new Error(`${manifest.op} has no ${JSON.stringify(wanted)}`);
  const kernels = found[ways].map((name) => manifest.kernels[target][name]!);
  const total = (what: 'reads' | 'writes'): Counts => {
    const counts: { [name: string]: number } = {};
    for (const kernel of kernels)
      for (const [name, k] of Object.entries(kernel[what] ?? {})) counts[name] = (counts[name] ?? 0) + k;
    return counts;
  };
  return {
    dispatches: kernels.length,
    passes: kernels.filter(({ reductions }) => reductions.length > 0).length,
    reductions: kernels.flatMap(({ reductions }) => reductions.map((label) => manifest.reductions[label]!)),
    reads: total('reads'),
    writes: total('writes'),
  };
}

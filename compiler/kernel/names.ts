/** Names in emitted code: valid in every target language, and unique within one function. */

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** Keywords and reserved words of TypeScript and WGSL, and globals that emitted TypeScript uses. */
const keywords = wordsOf(`
  abstract any arguments as asserts async await boolean break case catch class const constructor continue
  debugger declare default delete do else enum eval export extends false finally for from function get if
  implements import in infer instanceof interface is keyof let module namespace never new null number object
  of override package private protected public readonly require return satisfies set static string super
  switch symbol this throw true try type typeof undefined unique unknown using var void while with yield NaN
  Infinity Math Float32Array Float64Array alias const_assert continuing diagnostic discard enable fn loop
  requires struct storage uniform workgroup read write read_write active alignas alignof asm attribute auto
  cast co_await co_return co_yield coherent common compile concept constexpr constinit consteval crate
  decltype demote dynamic_cast explicit extern external fallthrough filter final friend fxgroup goto
  groupshared highp impl inline layout lowp macro match mediump meta mod move mut mutable nil noexcept
  noinline nointerpolation non_coherent noncoherent noperspective nullptr nonuniform operator packoffset pass
  patch pixelfragment pixelshader point precise precision premerge pub quotation raw ref regardless register
  reinterpret_cast resource restrict self shared sizeof smooth snorm static_assert static_cast std subroutine
  target template thread_local typename union unless unorm unsafe unsized use varying virtual volatile wgsl
  where writeonly
`);

/** WGSL's types and functions, which a variable of the same name would hide. */
const predeclared = wordsOf(`
  abs all array atomic atomicLoad atomicOr bitcast bool clamp countOneBits exp extractBits f16 f32
  firstTrailingBit floor i32 inverseSqrt log mat2x2 mat2x3 mat2x4 mat3x2 mat3x3 mat3x4 mat4x2 mat4x3 mat4x4
  max min pow ptr round sampler select sign sin cos sqrt subgroupAll subgroupBallot subgroupBroadcastFirst
  subgroupExclusiveAdd subgroupShuffleXor tanh texture u32 vec2 vec3 vec4 vec2f vec3f vec4f vec2i vec3i vec4i
  vec2u vec3u vec4u vec2h vec3h vec4h workgroupBarrier
`);

/** What emitted modules declare besides: helpers, types, and what lanes have in common. */
const declared = wordsOf(`
  numbers Numbers some mask many main sizes team width together group groups own head sum_of product_of
  greatest_of least_of Moments merge_moments Totals merge_totals exchanged joined merged reaches neighbours_of
  ones reduced workgroup_id num_workgroups row infinity nan maximum minimum signum exponential logarithm
  sigmoid softplus log1p expm1 hyperbolic erf high_product quarters_of sine bounded power Floats
`);

const reserved = new Set([...keywords, ...predeclared, ...declared]);

/** Entry points, and helpers of several elements. */
const reservedForm = /^(?:forward|backward|jvp|double_backward)_\d+$|_some$/;

/** A valid identifier in every target: reserved words and underscores that a target forbids get a suffix. */
export function identifier(text: string): string {
  const clean = text.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=[0-9])/, '_');
  if (clean === '_' || clean.startsWith('__')) return `v${clean}`;
  return reserved.has(clean) || reservedForm.test(clean) ? `${clean}_` : clean;
}

export interface Names {
  /** A new name like `base`, numbered where it is taken. */
  readonly fresh: (base: string) => string;
}

/** Names for one function, none of those used. */
export function createNames(used: readonly string[] = []): Names {
  const taken = new Set<string>(used);
  /** The number that each base was tried with last. */
  const numbers = new Map<string, number>();
  return {
    fresh(base) {
      const clean = identifier(base);
      let candidate = clean;
      let number = numbers.get(clean) ?? 0;
      while (taken.has(candidate)) candidate = identifier(`${clean}_${++number}`);
      numbers.set(clean, number);
      taken.add(candidate);
      return candidate;
    },
  };
}

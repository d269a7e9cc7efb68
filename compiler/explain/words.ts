/** What the documents say of each direction. */
import type { Inline } from './document.ts';
import type { Explained } from './part.ts';

export interface Words {
  /** The title of the derivation by hand. */
  readonly title: string;
  /** Part of the anchors of its sections. */
  readonly anchor: string;
  /** What one result is. */
  readonly result: string;
  /** Where the kernels are that compute the results. */
  readonly kernels: string;
  /** What a result is that nothing leads to. */
  readonly nothing: (of: Inline, wanted: readonly Inline[]) => Inline[];
  /** What a constant lacks. */
  readonly share: string;
  /** Who reads what forward returned. */
  readonly reader: string;
}

export const words: { readonly [D in Explained]: Words } = {
  backward: {
    title: 'Reverse mode',
    anchor: 'reverse',
    result: 'gradient',
    kernels: 'Kernels of the backward',
    nothing: (of) => ['No return depends on ', of, ': its gradient is zero.'],
    share: 'gradient',
    reader: 'Backward',
  },
  jvp: {
    title: 'Forward mode',
    anchor: 'jvp',
    result: 'tangent',
    kernels: 'Kernels of forward mode',
    nothing: (of, wanted) => [of, ' depends on none of ', ...wanted, ': its tangent is zero.'],
    share: 'tangent',
    reader: 'Forward mode',
  },
  double_backward: {
    title: 'Double backward',
    anchor: 'second',
    result: 'second-order gradient',
    kernels: 'Kernels of the double backward',
    nothing: (of) => ['No gradient depends on ', of, ': its second-order gradient is zero.'],
    share: 'second-order gradient',
    reader: 'The double backward',
  },
};

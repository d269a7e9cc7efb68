/** All that a project may ask of the code in it, by the names of TypeScript's options. */
export const strictness = [
  'strict',
  'allowImportingTsExtensions',
  'erasableSyntaxOnly',
  'exactOptionalPropertyTypes',
  'isolatedDeclarations',
  'isolatedModules',
  'noFallthroughCasesInSwitch',
  'noImplicitOverride',
  'noImplicitReturns',
  'noPropertyAccessFromIndexSignature',
  'noUncheckedIndexedAccess',
  'noUnusedLocals',
  'noUnusedParameters',
  'verbatimModuleSyntax',
] as const;

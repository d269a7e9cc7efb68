export const latexText = (_: unknown): string => '';

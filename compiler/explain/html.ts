export const htmlPage = (_: unknown): string => '';

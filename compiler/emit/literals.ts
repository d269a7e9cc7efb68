/** Text of values and types in TypeScript. */

export const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&').replace(/\n/g, '\\n')}'`;
export const key = (text: string): string => (/^[A-Za-z_]\w*$/.test(text) ? text : quote(text));
export const list = (items: readonly string[]): string => `[${items.join(', ')}]`;
export const strings = (items: readonly string[]): string => list(items.map(quote));
export const oneOf = (items: readonly string[]): string =>
  items.length === 0 ? 'never' : items.map(quote).join(' | ');
export const record = (entries: readonly (readonly [string, string])[]): string =>
  entries.length === 0 ? '{}' : `{ ${entries.map(([k, v]) => `${key(k)}: ${v}`).join(', ')} }`;
export const lines = (entries: readonly string[]): string =>
  entries.length === 0 ? '' : `\n${entries.map((e) => `  ${e},`).join('\n')}\n`;

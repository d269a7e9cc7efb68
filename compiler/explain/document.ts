/** A document without a format: blocks of prose, formulas, code and pictures. */
import { type Notation, nameNotation } from './notation.ts';
import type { Picture } from './picture.ts';

/** Prose with formulas in it. */
export type Inline = string | Notation;
export type Prose = readonly Inline[];

/** One line of a derivation. */
export interface Equation {
  readonly left: Notation;
  /** Axes of the left side, where it is defined here. */
  readonly axes?: readonly string[];
  readonly relation: '=' | '→';
  readonly right: Notation;
  /** Why it holds. */
  readonly notes: readonly Note[];
  /** How many steps it lies inside. */
  readonly depth: number;
}

export interface Note {
  /** The name of a rule. */
  readonly rule?: string;
  readonly text: Prose;
}

export type Block =
  | { readonly is: 'heading'; readonly level: 1 | 2 | 3; readonly text: string; readonly id: string }
  | { readonly is: 'paragraph'; readonly content: Prose }
  | { readonly is: 'equations'; readonly rows: readonly Equation[] }
  /** Only pages have room for code and pictures. */
  | { readonly is: 'code'; readonly title: string; readonly text: string }
  | { readonly is: 'picture'; readonly picture: Picture };

export interface Document {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** Words with commas, and `and` before the last. */
export const listOf = (items: readonly Inline[]): Inline[] => joinedBy(items.map((item) => [item]));

/** The same, for items of several parts. */
export function joinedBy(items: readonly Prose[]): Inline[] {
  return items.flatMap((item, i): Inline[] => {
    if (i === 0) return [...item];
    if (i < items.length - 1) return [', ', ...item];
    return [items.length > 2 ? ', and ' : ' and ', ...item];
  });
}

const numberWords = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];

export const numberWord = (n: number): string => numberWords[n] ?? String(n);

export const plural = (n: number, word: string, words = `${word}s`): string =>
  `${numberWord(n)} ${n === 1 ? word : words}`;

export const heading = (level: 1 | 2 | 3, text: string, id: string): Block => ({
  is: 'heading',
  level,
  text,
  id,
});
export const paragraph = (...content: Inline[]): Block => ({ is: 'paragraph', content });
export const equation = (
  left: string | Notation,
  right: Notation,
  more: Partial<Equation> = {},
): Equation => ({
  left: typeof left === 'string' ? nameNotation(left) : left,
  relation: '=',
  right,
  notes: [],
  depth: 0,
  ...more,
});

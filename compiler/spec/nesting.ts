/** Measures a formula before it is parsed: mathjs's parser recurses, and so does everything after it. */
import type { Span } from '../diagnostics.ts';
import { quoted, type Report } from './codes.ts';
import type { Passage } from './passage.ts';
import { isOperand, type Token } from './tokens.ts';

/** Brackets, signs, powers and choices inside each other. */
const deepest = 100;
/** Operands of one chain of additions; and the height of the tree, which other chains add to. */
const longest = 1000;

/** What is between two brackets. */
interface Level {
  readonly opening: Token | undefined;
  choices: number;
  signs: number;
  terms: number;
  factors: number;
  conditions: number;
  /** The most of them that any chain here has, and the height of the tallest bracket here. */
  chain: number;
  inner: number;
}

const closing: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['{', '}'],
]);
const none = { choices: 0, signs: 0, terms: 0, factors: 0, conditions: 0 };

/** Whether brackets match and nothing is nested too deeply or too long; what is wrong is reported. */
export function isParsable(tokens: readonly Token[], passage: Passage, report: Report): boolean {
  const levels: Level[] = [{ opening: undefined, ...none, chain: 0, inner: 0 }];
  const at = (token: Token): Span => passage.span(token.start, token.end);
  for (const [i, token] of tokens.entries()) {
    const top = levels.at(-1)!;
    if (closing.has(token.text)) {
      levels.push({ opening: token, ...none, chain: 0, inner: 0 });
    } else if (token.text === ')' || token.text === '}') {
      if (top.opening === undefined || closing.get(top.opening.text) !== token.text) {
        report('syntax', at(token), `${quoted(token.text)} closes nothing`);
        return false;
      }
      levels.pop();
      const outer = levels.at(-1)!;
      outer.inner = Math.max(outer.inner, height(top));
    } else if (isMisplaced(token, tokens[i - 1], tokens[i + 1])) {
      report('syntax', at(token), `unexpected ${quoted(token.text)}: a value belongs here`);
      return false;
    } else if (token.kind === 'operator') {
      count(top, token.text, isOperand(tokens[i - 1]));
    }
    const depth = levels.reduce((sum, { choices, signs }) => sum + 1 + choices + signs, 0);
    if (depth > deepest || top.terms > longest || height(top) > longest) {
      report(
        'too-deep',
        at(token),
        'this formula is too deep or too long',
        'give its parts names of their own',
      );
      return false;
    }
  }
  const unclosed = levels.at(-1)!.opening;
  if (unclosed) report('syntax', at(unclosed), `${quoted(unclosed.text)} is not closed`);
  return !unclosed;
}

const height = (level: Level): number => 1 + level.inner + level.chain;

/** A word that mathjs would take for a name, since no operand is beside it. */
const isMisplaced = ({ text }: Token, before: Token | undefined, after: Token | undefined): boolean =>
  ((text === 'and' || text === 'or') && !isOperand(before)) ||
  (text === 'not' && (after?.text ?? ':') === ':');

/** Takes an operator into account: one of lower precedence ends the chains of the higher ones. */
function count(top: Level, text: string, afterOperand: boolean): void {
  if (text === '^' || text === 'not' || (!afterOperand && (text === '+' || text === '-'))) {
    top.signs += 1;
  } else if (text === '*' || text === '/') {
    Object.assign(top, { signs: 0, factors: top.factors + 1 });
  } else if (text === '+' || text === '-') {
    Object.assign(top, { signs: 0, factors: 0, terms: top.terms + 1 });
  } else if (text === 'and' || text === 'or') {
    Object.assign(top, { ...none, choices: top.choices, conditions: top.conditions + 1 });
  } else if (text === '?') {
    Object.assign(top, { ...none, choices: top.choices + 1 });
  } else if (text === ',') {
    Object.assign(top, none);
  } else {
    Object.assign(top, { signs: 0, terms: 0, factors: 0 });
  }
  top.chain = Math.max(top.chain, top.choices + top.signs + top.factors + top.conditions);
}

/** The text of `--help`, for the program and for each command. */
import { type Command, commonOptions, type Option } from './arguments.ts';

const width = 100;

/** The whole program: every command with its summary. */
export function programHelp(commands: readonly Command[]): string {
  return `normgrad compiles forward formulas to verified forward and backward kernels.

Usage: normgrad COMMAND [ARGUMENTS]

Commands:
${table(commands.map(({ name, operands, summary }) => [`${name} ${operands}`, summary]))}

\`normgrad COMMAND --help\` tells more. Also: \`normgrad --version\`.

Results go to standard output, everything else to standard error.
Exit status: 0 fine, 1 the spec or a check failed, 2 wrong usage.

Start with:
  normgrad build     derivatives.yaml to kernels under generated/
  normgrad verify    check every one of them against finite differences
`;
}

/** One command: what it does, its options, examples. */
export function commandHelp({ name, operands, details, options, examples }: Command): string {
  const shown = [...options, ...commonOptions];
  return `Usage: normgrad ${name} ${operands} [OPTIONS]

${wrap(details)}

Options:
${table(shown.map((option) => [optionText(option), option.summary]))}

Examples:
${examples.map(([command, what]) => `  ${command}\n      ${what}`).join('\n')}
`;
}

const optionText = ({ name, value }: Option): string => (value ? `--${name} ${value}` : `--${name}`);

function table(rows: readonly (readonly [string, string])[]): string {
  const column = Math.min(34, Math.max(...rows.map(([left]) => left.length))) + 4;
  return rows
    .map(([left, right]) => {
      const lines = wrap(right, width - column)
        .split('\n')
        .join(`\n${' '.repeat(column)}`);
      const gap = left.length + 4 > column ? `\n${' '.repeat(column)}` : ' '.repeat(column - left.length - 2);
      return `  ${left}${gap}${lines}`;
    })
    .join('\n');
}

/** Breaks lines between words; empty lines and indented lines stay. */
function wrap(text: string, columns = width): string {
  const lines = text.split('\n').flatMap((line) => {
    if (line.startsWith(' ')) return [line];
    const rows: string[] = [''];
    for (const word of line.split(' ')) {
      const last = rows.at(-1)!;
      if (last !== '' && last.length + 1 + word.length > columns) rows.push(word);
      else rows[rows.length - 1] = last === '' ? word : `${last} ${word}`;
    }
    return rows;
  });
  return lines.join('\n');
}

/** The command line: finds the command, runs it, and turns what is thrown into a message and an exit status. */
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { didYouMean, quoted } from '../compiler/spec/codes.ts';
import { readArguments } from './arguments.ts';
import { commands } from './commands.ts';
import { commandHelp, programHelp } from './help.ts';
import { type Io, reasonOf, UsageError } from './io.ts';
import { showError } from './show-error.ts';

/** Runs `normgrad` with these arguments; resolves to the exit status and never rejects. */
export async function main(argv: readonly string[], io: Io = processIo()): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    return showError(error, argv.includes('--json'), io);
  }
}

async function dispatch([name, ...rest]: readonly string[], io: Io): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const asked = name === 'help' ? rest[0] : undefined;
    if (asked !== undefined) io.out(commandHelp(find(asked)));
    else if (name === undefined) io.err(programHelp(commands));
    else io.out(programHelp(commands));
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-V') {
    io.out(`${version()}\n`);
    return 0;
  }
  const command = find(name);
  const values = readArguments(command, rest);
  if (values.options.has('help')) {
    io.out(commandHelp(command));
    return 0;
  }
  const run = await command.load();
  return run(values, io);
}

function find(name: string) {
  const found = commands.find((command) => command.name === name);
  if (found) return found;
  const names = commands.map((command) => command.name);
  const what = name.startsWith('-') ? 'option' : 'command';
  throw new UsageError(
    `unknown ${what} ${quoted(name)}; ${didYouMean(name, names) ?? `commands are ${names.join(', ')}`}`,
  );
}

function version(): string {
  // Two folders up in the built package, one in a clone.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version?: string };
      if (found.version) return found.version;
    } catch {}
  }
  return 'unknown';
}

function processIo(): Io {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that has seen enough, like `head`, ends the program.
    if (error.code === 'EPIPE') process.exit();
    process.stderr.write(`normgrad: cannot write to standard output: ${reasonOf(error)}\n`);
    process.exit(1);
  });
  // Where messages cannot be written there is nobody to say so to.
  process.stderr.on('error', () => {});
  return {
    out: (results) => void process.stdout.write(results),
    err: (messages) => void process.stderr.write(messages),
    input: () => buffer(process.stdin),
    isWatched: process.stderr.isTTY === true,
  };
}

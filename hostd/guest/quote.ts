/**
 * One word for a POSIX shell: whatever the string holds, the shell passes it on as exactly that argument.
 * A NUL cannot be an argument of a program; it is refused with a RangeError.
 */
export function quoteArg(arg: string): string {
  if (arg.includes('\0')) throw new RangeError('an argument cannot hold a NUL byte');
  if (/^[A-Za-z0-9_/.:@%+,=-]+$/.test(arg)) return arg;
  return `'${arg.replaceAll("'", `'\\''`)}'`;
}

/** A command line that runs `argv` as given. */
export function quoteArgv(argv: readonly string[]): string {
  // A first word with `=` would be read as an assignment.
  const [program = '', ...args] = argv;
  const first = program.includes('=') ? `'${program.replaceAll("'", `'\\''`)}'` : quoteArg(program);
  return [first, ...args.map(quoteArg)].join(' ');
}

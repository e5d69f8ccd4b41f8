import { expectPass, fence, publish } from './publish.ts';
import { type CommandResult, type Script, tail } from './script.ts';
import { parseSources, patchCommand, SHOW_SOURCES, type Sources } from './source.ts';

export type TestFailure = { name: string; file: string; line: number; actual: string; expected: string };

/** The first failing test in what `node --test` printed, or null when none can be read from it. */
export function parseTestFailure(output: string): TestFailure | null {
  const report = output.slice(Math.max(0, output.indexOf('failing tests:')));
  const place = /test at (\S+?):(\d+):\d+/.exec(report);
  const name = /✖ (.+?) \([\d.]+ms\)/.exec(report.slice(place?.index ?? 0));
  const values = /^\s*'(.*)' !== '(.*)'\s*$/m.exec(report);
  if (!place || !name || !values) return null;
  return {
    name: name[1] ?? '',
    file: place[1] ?? '',
    line: Number(place[2]),
    actual: values[1] ?? '',
    expected: values[2] ?? '',
  };
}

type Edit = { path: string; line: number; before: string; after: string; subject: string; why: string };

/** The one defect it understands: a number that should be written with a leading zero. */
export function findEdit(sources: Sources, failure: TestFailure): Edit | null {
  if (!isMissingZero(failure)) return null;
  for (const [path, lines] of sources) {
    if (path.endsWith('.test.ts')) continue;
    const remainder = lines.findIndex((line) => /const \w+ = .*% 100;/.test(line));
    const variable = /const (\w+) = /.exec(lines[remainder] ?? '')?.[1];
    if (!variable) continue;
    const at = lines.findIndex((line) => line.includes(`.\${${variable}}`));
    const before = lines[at];
    if (before === undefined) continue;
    const after = before.replace(`.\${${variable}}`, `.\${String(${variable}).padStart(2, '0')}`);
    const why = `\`${variable}\` is a remainder below 100 and is written without padding, so 5 becomes \`.5\` instead of \`.05\`.`;
    return { path, line: at + 1, before, after, subject: 'Keep the leading zero of the cents', why };
  }
  return null;
}

function isMissingZero({ actual, expected }: TestFailure): boolean {
  return (
    expected.length === actual.length + 1 &&
    [...expected].some((char, at) => char === '0' && expected.slice(0, at) + expected.slice(at + 1) === actual)
  );
}

/** Takes over after a failing test run: read, edit, run again, publish. */
export function* repairTests(command: string, failed: CommandResult): Script {
  const failure = parseTestFailure(failed.output);
  if (!failure) {
    return `\`${command}\` fails, but I cannot read a test failure I understand from its output, so I changed nothing:\n\n${fence(tail(failed.output))}`;
  }
  const shown = yield {
    say: `“${failure.name}” (${failure.file}:${failure.line}) fails: it got \`${failure.actual}\` where \`${failure.expected}\` is expected. I read the sources.`,
    run: SHOW_SOURCES,
  };
  const sources = parseSources(shown.output);
  const edit = findEdit(sources, failure);
  if (!edit) {
    return `“${failure.name}” got \`${failure.actual}\` where \`${failure.expected}\` is expected. My script knows only one kind of repair (numbers that lost a leading zero), and this is not it. I changed nothing.`;
  }
  const applied = yield {
    say: `${edit.path}:${edit.line} is the cause: ${edit.why}`,
    run: patchCommand(edit.path, sources.get(edit.path) ?? [], edit.line, edit.line, [edit.after]),
  };
  if (applied.exitCode !== 0) return `My edit of ${edit.path} could not be applied:\n\n${fence(tail(applied.output))}`;
  const trouble = (yield* expectPass(command, 'I run the tests again.')) ?? (yield* publish(edit.subject));
  if (trouble) return trouble;
  return `Fixed “${failure.name}” in \`${edit.path}\`: ${edit.why} The tests pass and the branch is pushed. I ran only the tests.`;
}

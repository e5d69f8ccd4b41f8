/** Files as shown by SHOW_SOURCES: path to lines. */
export type Sources = Map<string, string[]>;

const MARK = '=== ';

/** Prints every small TypeScript file of the repository, each under a line with its path. */
export const SHOW_SOURCES = `for f in $(git ls-files '*.ts' | head -n 40); do echo "${MARK}$f"; head -c 20000 "$f"; done`;

export function parseSources(output: string): Sources {
  const sources: Sources = new Map();
  let lines: string[] | null = null;
  for (const line of output.split('\n')) {
    if (line.startsWith(MARK)) {
      lines = [];
      sources.set(line.slice(MARK.length).trim(), lines);
    } else lines?.push(line);
  }
  for (const each of sources.values()) while (each.at(-1) === '') each.pop();
  return sources;
}

export type EnclosingFunction = { name: string; params: string[]; returns: string | null; line: number };

/** The function declaration that a line (1-based) is in, or right above it. */
export function enclosingFunction(lines: readonly string[], line: number): EnclosingFunction | null {
  for (let at = Math.min(line, lines.length); at >= 1; at -= 1) {
    const match = /^(?:export )?(?:async )?function (\w+)\(([^)]*)\)(?:: ([^{]+?))? ?\{/.exec(lines[at - 1] ?? '');
    if (!match) continue;
    const params = (match[2] ?? '').split(',').map((param) => param.trim().split(/[:=? ]/)[0] ?? '');
    return { name: match[1] ?? '', params: params.filter(Boolean), returns: match[3]?.trim() ?? null, line: at };
  }
  return null;
}

/** A shell command that replaces lines `from`..`to` (1-based, inclusive; `to` = from - 1 inserts) by others, as a patch. */
export function patchCommand(
  path: string,
  lines: readonly string[],
  from: number,
  to: number,
  replacement: readonly string[],
): string {
  const context = 2;
  const start = Math.max(1, from - context);
  const end = Math.min(lines.length, to + context);
  const body = [
    ...lines.slice(start - 1, from - 1).map((line) => ` ${line}`),
    ...lines.slice(from - 1, to).map((line) => `-${line}`),
    ...replacement.map((line) => `+${line}`),
    ...lines.slice(to, end).map((line) => ` ${line}`),
  ];
  const oldCount = end - start + 1;
  const newCount = oldCount - (to - from + 1) + replacement.length;
  const header = [`--- a/${path}`, `+++ b/${path}`, `@@ -${start},${oldCount} +${start},${newCount} @@`];
  return `git apply --whitespace=nowarn - <<'PATCH'\n${[...header, ...body].join('\n')}\nPATCH\ngit diff --stat`;
}

export function indentOf(line: string): string {
  return /^\s*/.exec(line)?.[0] ?? '';
}

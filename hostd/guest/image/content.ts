import { createHash } from 'node:crypto';

/*
 * What is in an image, as a list of lines that two builds can be compared by. Pure: the lists are made by customize.sh, as
 * only (namespaced) root can read the tree.
 */

/** One line per path: kind, mode, owner, group, seconds, path, and after a tab the SHA-256 of a file or where a link leads. */
export type Contents = ReadonlyMap<string, string>;

/** @throws when a line is not as customize.sh writes it: half a list must not name an image */
export function readContents(tree: string, sums: string): Contents {
  const sumOf = new Map<string, string>();
  for (const line of linesOf(sums)) {
    const found = /^([0-9a-f]{64}) [ *](.*)$/.exec(line);
    if (!found) throw new Error(`not a checksum: ${line.slice(0, 200)}`);
    sumOf.set(found[2]!, found[1]!);
  }
  const entries = linesOf(tree).map((line): [string, string] => {
    const found = /^([a-zA-Z]) (\d+ \d+ \d+ -?\d+) (\.\/[^\t]*)\t(.*)$/.exec(line);
    if (!found) throw new Error(`not a line of the list of contents: ${line.slice(0, 200)}`);
    const [, kind, numbers, name, target] = found as unknown as [string, string, string, string, string];
    const detail = kind === 'f' ? sumOf.get(name) : target;
    if (detail === undefined) throw new Error(`no checksum for ${name}`);
    return [name.slice(1), `${kind} ${numbers} ${name.slice(1)}\t${detail}`];
  });
  return new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The stored form, and what `parseContents` reads. */
export function formatContents(contents: Contents): string {
  return [...contents.values(), ''].join('\n');
}

export function parseContents(text: string): Contents {
  return new Map(
    linesOf(text).map((line) => {
      const name = /^[a-zA-Z] \d+ \d+ \d+ -?\d+ (\/[^\t]*)\t/.exec(line)?.[1];
      if (name === undefined) throw new Error(`not a line of the list of contents: ${line.slice(0, 200)}`);
      return [name, line];
    }),
  );
}

/** Names what was built. `sha256Of` holds the kernel's and the initrd's checksums by file name. */
export function contentIdOf(contents: Contents, sha256Of: Readonly<Record<string, string>>): string {
  const hash = createHash('sha256').update(formatContents(contents));
  for (const name of Object.keys(sha256Of).sort()) hash.update(`${name} ${sha256Of[name]}\n`);
  return hash.digest('hex');
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

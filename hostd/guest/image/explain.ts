import type { Contents } from './content.ts';

/** What is known of one build of an image. */
export type ImageFacts = {
  imageId: string;
  contentId: string | null;
  /** Versions by name. */
  packages: Readonly<Record<string, string>>;
  npm: Readonly<Record<string, string>>;
  /** Null for an image that was stored without its list. */
  contents: Contents | null;
};

export type Explanation = { same: boolean; lines: string[] };

const SHOWN_MAX = 40;

/** Why two builds have other content, from the most likely cause to the least. Lines are for people. */
export function explainDifference(a: ImageFacts, b: ImageFacts): Explanation {
  if (a.contentId !== null && a.contentId === b.contentId) return { same: true, lines: [`The same content: ${a.contentId}`] };
  const packages = compareVersions(a.packages, b.packages);
  const npm = compareVersions(a.npm, b.npm);
  const files = a.contents && b.contents ? compareContents(a.contents, b.contents) : null;
  const lines = [`Other content: ${a.contentId ?? 'not recorded'} and ${b.contentId ?? 'not recorded'}`];
  if (a.imageId !== b.imageId) lines.push(`They are of other recipes: ${a.imageId} and ${b.imageId}`);
  if (packages.length > 0)
    lines.push(...listed(`The Debian mirror served ${packages.length} packages in other versions:`, packages));
  if (npm.length > 0) lines.push(...listed(`${npm.length} npm packages have other versions:`, npm));
  if (files === null) lines.push('One of them has no list of its contents: build it again to compare files');
  else if (files.length > 0) lines.push(...listed(`${files.length} paths of the root disk differ:`, files));
  if (a.imageId === b.imageId && packages.length === 0 && npm.length === 0 && files) {
    lines.push(
      files.length === 0
        ? 'Recipe, packages and root disk are the same, so the kernel or the initrd differs: the tools of the building host do'
        : 'Recipe and packages are the same, so the build wrote something of its own into these paths: a fault of the build',
    );
  }
  return { same: false, lines };
}

function listed(title: string, rows: readonly string[]): string[] {
  const rest = rows.length - SHOWN_MAX;
  return [title, ...rows.slice(0, SHOWN_MAX).map((row) => `  ${row}`), ...(rest > 0 ? [`  … and ${rest} more`] : [])];
}

function compareVersions(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): string[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return names
    .filter((name) => a[name] !== b[name])
    .map((name) => `${name} ${a[name] ?? '(absent)'} -> ${b[name] ?? '(absent)'}`);
}

const FIELDS = ['kind', 'mode', 'owner', 'group', 'time'] as const;

function compareContents(a: Contents, b: Contents): string[] {
  const names = [...new Set([...a.keys(), ...b.keys()])].sort();
  return names
    .filter((name) => a.get(name) !== b.get(name))
    .map((name) => {
      const [left, right] = [a.get(name), b.get(name)];
      if (left === undefined) return `${name} (only in the second)`;
      if (right === undefined) return `${name} (only in the first)`;
      const [ours, theirs] = [left, right].map((line) => line.split(' ')) as [string[], string[]];
      const fields: string[] = FIELDS.filter((_, at) => ours[at] !== theirs[at]);
      if (left.split('\t')[1] !== right.split('\t')[1]) fields.push('content');
      return `${name} (${fields.join(', ')})`;
    });
}

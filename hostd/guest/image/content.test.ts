import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentIdOf, formatContents, parseContents, readContents } from './content.ts';
import { explainDifference, type ImageFacts } from './explain.ts';

const SUM = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const TREE = 'd 755 0 0 1767225600 ./etc\t\nf 644 0 0 1700000000 ./etc/a file\t\nl 777 0 0 1767225600 ./bin\tusr/bin\n';
const BOOT = { vmlinux: SUM, initrd: OTHER };

describe('the list of contents', () => {
  it('does not depend on the order in which the tree was read', () => {
    const reversed = TREE.trim().split('\n').reverse().join('\n');
    const sums = `${SUM}  ./etc/a file\n`;
    expect(formatContents(readContents(reversed, sums))).toBe(formatContents(readContents(TREE, sums)));
    expect(formatContents(readContents(TREE, sums)).split('\n')).toEqual([
      'l 777 0 0 1767225600 /bin\tusr/bin',
      'd 755 0 0 1767225600 /etc\t',
      `f 644 0 0 1700000000 /etc/a file\t${SUM}`,
      '',
    ]);
  });

  it('is not made of half a list', () => {
    expect(() => readContents(TREE, '')).toThrow('no checksum for ./etc/a file');
    expect(() => readContents('nonsense\n', '')).toThrow('not a line');
    expect(() => readContents(TREE, 'nonsense\n')).toThrow('not a checksum');
  });

  it('reads back what it stored, whatever the names', () => {
    const name = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !/[\n\t\r\u2028\u2029]/.test(text));
    fc.assert(
      fc.property(fc.uniqueArray(name), (names) => {
        const tree = names.map((one) => `f 644 0 0 1 ./${one}\t\n`).join('');
        const contents = readContents(tree, names.map((one) => `${SUM}  ./${one}\n`).join(''));
        expect(parseContents(formatContents(contents))).toEqual(contents);
        expect(contents.size).toBe(names.length);
      }),
    );
  });

  it('and the files it boots from decide the id, each of them', () => {
    const id = contentIdOf(readContents(TREE, `${SUM}  ./etc/a file\n`), BOOT);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(contentIdOf(readContents(TREE, `${SUM}  ./etc/a file\n`), { initrd: OTHER, vmlinux: SUM })).toBe(id);
    expect(contentIdOf(readContents(TREE, `${OTHER}  ./etc/a file\n`), BOOT)).not.toBe(id);
    expect(contentIdOf(readContents(TREE.replace('755', '700'), `${SUM}  ./etc/a file\n`), BOOT)).not.toBe(id);
    expect(contentIdOf(readContents(TREE, `${SUM}  ./etc/a file\n`), { ...BOOT, initrd: SUM })).not.toBe(id);
  });
});

describe('why two builds differ', () => {
  const facts = (rest: Partial<ImageFacts> = {}, sum = SUM): ImageFacts => ({
    imageId: 'debian12-base-1',
    contentId: SUM,
    packages: { libc6: '2.36-9', jq: '1.6' },
    npm: { npm: '11.6.2' },
    contents: readContents(TREE, `${sum}  ./etc/a file\n`),
    ...rest,
  });
  const text = (a: ImageFacts, b: ImageFacts) => explainDifference(a, b).lines.join('\n');

  it('is nothing when the content is the same', () => {
    expect(explainDifference(facts(), facts())).toEqual({ same: true, lines: [`The same content: ${SUM}`] });
    expect(explainDifference(facts({ contentId: null }), facts({ contentId: null })).same).toBe(false);
  });

  it('is the mirror, when it served other packages', () => {
    const later = facts({ contentId: OTHER, packages: { libc6: '2.36-10', tmux: '3.3' } }, OTHER);
    expect(text(facts(), later)).toContain('The Debian mirror served 3 packages in other versions');
    expect(text(facts(), later)).toContain('libc6 2.36-9 -> 2.36-10');
    expect(text(facts(), later)).toContain('jq 1.6 -> (absent)');
    expect(text(facts(), later)).not.toContain('a fault of the build');
  });

  it('is the build itself, when recipe and packages are the same', () => {
    const other = facts({ contentId: OTHER }, OTHER);
    expect(text(facts(), other)).toContain('/etc/a file (content)');
    expect(text(facts(), other)).toContain('a fault of the build');
    expect(text(facts(), facts({ contentId: OTHER }))).toContain('the kernel or the initrd differs');
  });

  it('is the recipe, when that was changed, and says so when there is no list to compare', () => {
    const other = facts({ imageId: 'debian12-base-2', contentId: OTHER, contents: null });
    expect(text(facts(), other)).toContain('other recipes');
    expect(text(facts(), other)).toContain('no list of its contents');
  });
});

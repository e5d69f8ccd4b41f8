import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openBareRepository } from '../testing/bare.ts';
import { createLineMapper, type Place, shiftLine } from './map-line.ts';

const { gitDir, commit } = openBareRepository();
const mapLine = (commitSha: string, to: string, place: Place) => createLineMapper(gitDir, to)({ ...place, commitSha });
const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');

describe('where a line went', () => {
  it('follows a line through insertions, deletions and a rename, and loses one that changed', async () => {
    const lines = Array.from({ length: 30 }, (_, at) => `line ${at + 1}`);
    const from = await commit({ 'a.txt': text(lines), 'other.txt': 'x\n' });
    const edited = ['new first', ...lines.slice(0, 9), 'line 10 changed', ...lines.slice(12)];
    const to = await commit({ 'a.txt': null, 'b.txt': text(edited) });
    expect(await mapLine(from, to, { path: 'a.txt', line: 1 })).toEqual({ path: 'b.txt', line: 2 });
    expect(await mapLine(from, to, { path: 'a.txt', line: 10 })).toBeNull();
    expect(await mapLine(from, to, { path: 'a.txt', line: 11 })).toBeNull();
    expect(await mapLine(from, to, { path: 'a.txt', line: 20 })).toEqual({ path: 'b.txt', line: 19 });
    expect(await mapLine(from, to, { path: 'other.txt', line: 1 })).toEqual({ path: 'other.txt', line: 1 });
    expect(await mapLine(to, await commit({ 'b.txt': null }), { path: 'b.txt', line: 1 })).toBeNull();
  });

  it('agrees with the text itself, for any edit', () => {
    type Edit = { keep: number; drop: number; add: number };
    const edit = fc.record({
      keep: fc.integer({ min: 1, max: 4 }),
      drop: fc.integer({ min: 0, max: 3 }),
      add: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 6 }), (edits: Edit[]) => {
        const after: (number | null)[] = [];
        const replaced = [];
        let line = 0;
        for (const { keep, drop, add } of edits) {
          for (let at = 0; at < keep; at += 1) after.push(++line);
          if (drop + add > 0) replaced.push({ oldStart: drop > 0 ? line + 1 : line, oldCount: drop, newCount: add });
          line += drop;
          for (let at = 0; at < add; at += 1) after.push(null);
        }
        for (let at = 1; at <= line; at += 1) {
          const index = after.indexOf(at);
          expect(shiftLine(at, replaced)).toBe(index === -1 ? null : index + 1);
        }
      }),
    );
  });
});

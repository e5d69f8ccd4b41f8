import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameSplitter } from './frame-splitter.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('FrameSplitter', () => {
  it('gives each line with the offset just past its newline', () => {
    expect(new FrameSplitter(10).push(bytes('{"a":1}\n{"b":2}\n'))).toEqual([
      { kind: 'line', endOffset: 18, text: '{"a":1}' },
      { kind: 'line', endOffset: 26, text: '{"b":2}' },
    ]);
  });

  it('leaves blank lines out and still counts them', () => {
    expect(new FrameSplitter(0).push(bytes('\n\r\nx\n'))).toEqual([{ kind: 'line', endOffset: 5, text: 'x' }]);
  });

  it('skips a line beyond the cap, wherever it is cut, and goes on with the next', () => {
    const splitter = new FrameSplitter(0, 4);
    expect(splitter.push(bytes('123'))).toEqual([]);
    expect(splitter.push(bytes('456'))).toEqual([]);
    expect(splitter.push(bytes('7\nok\n'))).toEqual([
      { kind: 'oversized', endOffset: 8, bytes: 7 },
      { kind: 'line', endOffset: 11, text: 'ok' },
    ]);
  });

  it('gives the same lines however the stream is cut, and from any line end on', () => {
    const lines = fc.array(
      fc.string({ unit: 'grapheme', maxLength: 12 }).filter((line) => !/[\r\n]/.test(line)),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(lines, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (texts, sizes) => {
        const all = bytes(texts.map((text) => `${text}\n`).join(''));
        const whole = new FrameSplitter(0).push(all);
        const splitter = new FrameSplitter(0);
        const cut = [];
        for (let at = 0, turn = 0; at < all.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          cut.push(...splitter.push(all.subarray(at, at + size)));
          at += size;
        }
        expect(cut).toEqual(whole);
        const middle = whole[Math.floor(whole.length / 2)];
        if (middle) {
          const rest = new FrameSplitter(middle.endOffset).push(all.subarray(middle.endOffset));
          expect(rest).toEqual(whole.slice(Math.floor(whole.length / 2) + 1));
        }
      }),
    );
  });
});

import { describe, expect, it } from 'vitest';
import { findMappings } from './mapping.ts';

const line = (from: string, to: string, mode: string, offset: string, inode: number) =>
  `${from}-${to} ${mode} ${offset} 07:02 ${inode}                  /data/m 1/memory`;
const MIB = 1024 * 1024;

describe('where QEMU maps the memory file', () => {
  it('is found by inode, in the order of the file, however the kernel has split it', () => {
    const maps = [
      line('7f5600000000', '7f5600100000', 'rw-p', '00100000', 42),
      line('7f5600100000', '7f5600200000', 'rw-p', '00000000', 7),
      '7f5600300000-7f5600400000 rw-p 00000000 00:00 0 ',
      line('7f5700000000', '7f5700100000', 'rw-p', '00000000', 42),
      '',
    ].join('\n');
    expect(findMappings(maps, 42, 2 * MIB)).toEqual([
      { start: 0x7f57_0000_0000, bytes: MIB, offset: 0 },
      { start: 0x7f56_0000_0000, bytes: MIB, offset: MIB },
    ]);
  });

  it.each([
    ['a part that is not mapped', [line('1000', '2000', 'rw-p', '0', 42)], 8192],
    ['a hole', [line('1000', '2000', 'rw-p', '1000', 42)], 4096],
    ['a part that is mapped twice', [line('1000', '2000', 'rw-p', '0', 42), line('5000', '6000', 'rw-p', '0', 42)], 4096],
    ['a shared mapping', [line('1000', '2000', 'rw-s', '0', 42)], 4096],
    ['nothing at all', [''], 4096],
  ])('is refused with %s', (_name, lines, bytes) => {
    expect(() => findMappings(lines.join('\n'), 42, bytes)).toThrow(expect.objectContaining({ code: 'internal' }));
  });
});

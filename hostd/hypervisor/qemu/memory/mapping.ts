import { HostdError } from '../../../errors.ts';

/** A part of QEMU's address space that maps a part of the memory file. All in bytes. */
export type Mapping = { start: number; bytes: number; offset: number };

const LINE = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) [0-9a-f]+:[0-9a-f]+ (\d+)/;

/**
 * Where a process maps a file of which it must map every byte privately, by the text of its `/proc/PID/maps`, in the file's
 * order. The kernel splits a mapping where its parts differ, so there may be several.
 *
 * @throws `internal` when the mappings do not cover the file exactly once: memory would be lost
 */
export function findMappings(maps: string, inode: number, fileBytes: number): Mapping[] {
  const found = maps.split('\n').flatMap((line): Mapping[] => {
    const [, from, to, mode, offset, node] = LINE.exec(line) ?? [];
    if (node !== String(inode)) return [];
    if (mode !== 'rw-p') throw unexpected(`it is mapped ${mode}`);
    const start = Number.parseInt(from!, 16);
    return [{ start, bytes: Number.parseInt(to!, 16) - start, offset: Number.parseInt(offset!, 16) }];
  });
  found.sort((a, b) => a.offset - b.offset);
  let covered = 0;
  for (const { offset, bytes } of found) {
    if (offset !== covered) throw unexpected(`byte ${covered} is ${offset > covered ? 'not mapped' : 'mapped twice'}`);
    covered += bytes;
  }
  if (covered !== fileBytes) throw unexpected(`${covered} of ${fileBytes} bytes are mapped`);
  return found;
}

function unexpected(why: string): HostdError {
  return new HostdError('internal', {
    message: `QEMU does not map the machine's memory as it was told to: ${why}`,
    phase: 'memory.map',
  });
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { snapshotManifestSchema } from '../contract/machines.ts';
import { inspectGuest, parseInventory } from './inspect.ts';

const TAIL = ' 0 1 1 0 -1 4194560 1449 9996 180 41 56 168 100 120 20 0 1 0';
const OUTPUT = [
  `1 (systemd) S${TAIL} 58 19603456`,
  `10 (mm_percpu_wq) I${TAIL} 70 0`,
  `412 (node (worker) x) S${TAIL} 9001 5`,
  '#commands',
  '==> /proc/1/cmdline <==',
  '/lib/systemd/systemd\0',
  '',
  '==> /proc/10/cmdline <==',
  '',
  '',
  '==> /proc/412/cmdline <==',
  'node\0server.js\0--port\x003000\0',
  '#owners',
  '0 /proc/1',
  '0 /proc/10',
  '1000 /proc/412',
  '#files',
  '  sl  local_address rem_address   st',
  '   0: 0100007F:0C38 00000000:0000 0A 00000000:00000000',
  '   1: 00000000:0BB8 00000000:0000 0A 00000000:00000000',
  '   2: 0100007F:9999 0100007F:0C38 01 00000000:00000000',
  '   0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000',
  'root:x:0:0:root:/root:/bin/bash',
  'agent:x:1000:1000::/home/agent:/bin/bash',
].join('\n');

describe('the inventory of a guest', () => {
  it('names processes by pid and start time, with user and command, kernel threads left out', () => {
    expect(parseInventory(OUTPUT).processes).toEqual([
      { pid: 1, startTimeTicks: '58', user: 'root', command: '/lib/systemd/systemd' },
      { pid: 412, startTimeTicks: '9001', user: 'agent', command: 'node server.js --port 3000' },
    ]);
  });

  it('lists the ports something listens on, once', () => {
    expect(parseInventory(OUTPUT).listening).toEqual([3000, 3128]);
  });

  it('takes any bytes a guest may send, and every manifest with them can be read again', () => {
    const { processes, listening } = snapshotManifestSchema.shape;
    const inventorySchema = z.object({ processes, listening });
    const noise = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom('9', '0', ' ', '\n', ':', '/proc/1', ')', '(', '#files') }),
    );
    fc.assert(
      fc.property(noise, fc.nat(OUTPUT.length), fc.nat(20), (text, at, times) => {
        const found = parseInventory(OUTPUT.slice(0, at) + text.repeat(times) + OUTPUT.slice(at));
        expect(found.processes.length).toBeLessThanOrEqual(200);
        expect(found.listening.every((port) => port >= 0 && port <= 65_535)).toBe(true);
        expect(inventorySchema.parse(JSON.parse(JSON.stringify(found)))).toEqual(found);
      }),
      { seed: 20261126, numRuns: 1_000 },
    );
  });

  it('leaves out numbers that are none and shows names without control characters, cut short', () => {
    const hostile = OUTPUT.replace('412 (node', `${'4'.repeat(400)} (node`)
      .replace('agent:x', `${'a'.repeat(5_000)}:x`)
      .replace('/lib/systemd/systemd', '\u001b[2Jinit\u0007');
    expect(parseInventory(hostile).processes).toEqual([{ pid: 1, startTimeTicks: '58', user: 'root', command: '?[2Jinit?' }]);
  });

  it('is unknown, not empty, when the guest does not answer or answers nothing', async () => {
    const mute = { exec: () => Promise.reject(new Error('no answer')) } as unknown as Parameters<typeof inspectGuest>[0];
    expect(await inspectGuest(mute, 10)).toEqual({ processes: null, listening: null });
    const empty = { exec: async () => ({ exitCode: 0, stdout: '', stderr: '' }) } as unknown as Parameters<
      typeof inspectGuest
    >[0];
    expect(await inspectGuest(empty, 10)).toEqual({ processes: null, listening: null });
  });
});

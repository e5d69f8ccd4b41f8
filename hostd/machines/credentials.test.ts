import { access, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { egressPolicySchema } from '../contract/egress.ts';
import { aRequest, makeFakeWorld } from './testing/fake-world.ts';

const MACHINE = 'mch_0000000001';
const SNAPSHOT = 'snp_0000000001';
const CANARY = 'canary-3f7a91d0c2';
const secret = { id: 'sec_1', host: 'api.example.com', header: 'authorization', value: `Bearer ${CANARY}`, plainHttp: false };
const policyWith = (secrets: (typeof secret)[]) =>
  egressPolicySchema.parse({
    services: [
      { host: 'git.warren.internal', upstream: 'http://127.0.0.1:1/git', headers: { authorization: `Bearer ${CANARY}` } },
    ],
    allow: [],
    secrets,
  });

let world: Awaited<ReturnType<typeof makeFakeWorld>>;
beforeEach(async () => {
  world = await makeFakeWorld();
});
afterEach(() => world.remove());

/** Files of the data directory that hold the text. */
async function filesWith(text: string): Promise<string[]> {
  const entries = await readdir(world.layout.dataDir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  // The disks of these machines are empty and as large as real ones.
  const read = files.filter((file) => !file.endsWith('.raw'));
  const found = await Promise.all(read.map(async (file) => ((await readFile(file)).includes(text) ? [file] : [])));
  return found.flat();
}

describe('credentials of a machine', () => {
  it('are in none of its files, from its creation to its snapshot', async () => {
    const { machines } = await world.open();
    await machines.create(MACHINE, { ...aRequest({ kind: 'image' }), egress: policyWith([secret]) });
    expect(await filesWith(MACHINE)).not.toEqual([]);
    expect(await filesWith(CANARY)).toEqual([]);
    await machines.setEgress(MACHINE, policyWith([secret, { ...secret, id: 'sec_2' }]));
    expect(await filesWith(CANARY)).toEqual([]);
    await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    // Files that come and go until it is on the disk cannot be read in peace.
    await vi.waitFor(() => access(world.layout.snapshot(SNAPSHOT).durable));
    expect(await filesWith(SNAPSHOT)).not.toEqual([]);
    expect(await filesWith(CANARY)).toEqual([]);
  });

  it('are unknown to the next hostd until they are handed over again, by a new policy or by asking for the machine again', async () => {
    const { machines } = await world.open();
    const request = { ...aRequest({ kind: 'image' }), egress: policyWith([secret]) };
    await machines.create(MACHINE, request);
    const second = await world.open();
    expect(second.guest.machines.get(MACHINE)?.egress).toBeNull();
    await second.machines.setEgress(MACHINE, policyWith([secret]));
    expect(second.guest.machines.get(MACHINE)?.egress?.secrets).toEqual([secret]);
    const third = await world.open();
    await third.machines.create(MACHINE, request);
    expect(third.guest.machines.get(MACHINE)?.egress?.secrets).toEqual([secret]);
  });

  it('of a former release are taken from its record when the machine is taken up', async () => {
    const { machines } = await world.open();
    await machines.create(MACHINE, aRequest({ kind: 'image' }));
    const file = world.layout.machine(MACHINE).record;
    const record = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...record, request: { ...record.request, egress: policyWith([secret]) } }));
    expect(await filesWith(CANARY)).toEqual([file]);
    await world.open();
    expect(await filesWith(CANARY)).toEqual([]);
  });
});

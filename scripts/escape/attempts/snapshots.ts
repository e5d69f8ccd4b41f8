import { constants, copyFile, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import type { SnapshotFiles } from '../../../hostd/storage/layout.ts';
import type { Category, HostAttempt } from '../attempt.ts';
import type { World } from '../world.ts';

/** What someone with a hand on the files, but not on the host's key, changes between a suspend and a resume. */
type Tamper = (files: SnapshotFiles, manifest: string) => Promise<void>;

/** Changes the snapshot, asks for a machine of it, and puts everything back. Nothing may come of it but a refusal. */
const tampered = (name: string, change: Tamper, kind: 'resume' | 'fork' | 'disk' = 'fork'): HostAttempt => ({
  name,
  alone: true,
  run: async (world) => {
    const { snapshotId } = world;
    const files = world.hostd.layout.snapshot(snapshotId);
    const kept = [files.manifest, files.deviceState, files.memory, files.disk];
    for (const file of kept) await copyFile(file, `${file}.kept`, constants.COPYFILE_FICLONE);
    try {
      await change(files, await readFile(files.manifest, 'utf8'));
      return await refusal(world, { kind, snapshotId });
    } finally {
      for (const file of kept) await rename(`${file}.kept`, file);
      await rm(`${files.deviceState}.moved`, { force: true });
    }
  },
});

async function refusal(world: World, source: object) {
  const machineId = world.nextMachineId();
  const { status, text } = await world.send('PUT', `machines/${machineId}`, { lease: world.lease, source, egress: world.policy });
  if (status === 200) await world.remove(machineId);
  const code = /"code":"(\w+)"/.exec(text)?.[1] ?? '';
  const isRefused = status >= 400 && ['incompatible', 'not_found', 'bad_request'].includes(code);
  return { tried: status !== 0, through: isRefused ? null : `it was answered with ${status} ${code}`, note: text.slice(0, 200) };
}

const inManifest =
  (from: RegExp, to: string): Tamper =>
  async (files, manifest) => {
    const changed = manifest.replace(from, to);
    if (changed === manifest) throw new Error(`there is no ${from} in the manifest`);
    await writeFile(files.manifest, changed);
  };

export const snapshots: Category = {
  name: 'snapshots',
  about: 'device state, manifest, memory and disk changed by hand between suspend and resume (tried from the host)',
  attempts: [
    tampered('one bit of the device state', async ({ deviceState }) => {
      const bytes = await readFile(deviceState);
      bytes[Math.floor(bytes.length / 2)]! ^= 1;
      await writeFile(deviceState, bytes);
    }),
    tampered('device state cut short', ({ deviceState }) => truncate(deviceState, 1000)),
    tampered('device state that is a link', async ({ deviceState }) => {
      await copyFile(deviceState, `${deviceState}.moved`);
      await writeFile(`${deviceState}.moved`, 'QEVM');
      await rm(deviceState);
      await symlink(`${deviceState}.moved`, deviceState);
    }),
    tampered('memory cut short', ({ memory }) => truncate(memory, 4096)),
    tampered('more memory', ({ memory }) => truncate(memory, 2 ** 31)),
    tampered('disk cut short', ({ disk }) => truncate(disk, 2 ** 20), 'disk'),
    tampered('memory size in the manifest', inManifest(/"memoryMiB": \d+/, '"memoryMiB": 256')),
    tampered('checksum in the manifest', inManifest(/"deviceStateSha256": "[0-9a-f]{8}/, '"deviceStateSha256": "00000000')),
    tampered('accelerator in the manifest', inManifest(/"accelerator": "\w+"/, '"accelerator": "other"')),
    tampered('machine in the manifest', inManifest(/"machineId": "\w+"/, '"machineId": "mch_escapevictim01"')),
    tampered('signature of zeros', inManifest(/"mac": "[^"]+"/, '"mac": ""')),
    tampered('signature of another kind', inManifest(/"mac": "[^"]+"/, '"mac": null')),
    tampered('a manifest without a signature', async (files, manifest) => {
      await writeFile(files.manifest, JSON.stringify((JSON.parse(manifest) as { manifest: unknown }).manifest));
    }),
    tampered('a manifest that is none', ({ manifest }) => writeFile(manifest, '{"manifest":{"schemaVersion":1},"mac":"')),
    tampered('no manifest', ({ manifest }) => rm(manifest)),
    ...['snp_../../../etc', 'snp_0000000000/..', 'mch_escapevictim01', 'snp_doesnotexist0'].map(
      (snapshotId): HostAttempt => ({
        name: `a snapshot called ${snapshotId}`,
        run: (world) => refusal(world, { kind: 'fork', snapshotId }),
      }),
    ),
  ],
  controls: [
    {
      name: 'the same snapshot, untouched',
      run: async (world) => {
        const { through } = await refusal(world, { kind: 'fork', snapshotId: world.snapshotId });
        return { tried: true, through };
      },
    },
  ],
};

import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { type CreateMachine, createMachineSchema, type MachineSource } from '../../contract/machines.ts';
import type { Platform } from '../../hypervisor/driver.ts';
import { FAKE_PLATFORM, FakeDriver, FakeHost } from '../../hypervisor/fake/driver.ts';
import { layoutOf } from '../../storage/layout.ts';
import type { Engine } from '../../storage/replicas/engine.ts';
import { makeDirs } from '../../storage/volume.ts';
import { Machines } from '../machines.ts';
import { FakeGuestSide } from './fake-guest-side.ts';

export const IMAGE_ID = 'debian12-base-fake';

/** A data directory of its own with machines that are not real; hostd can be restarted over it. */
export async function makeFakeWorld() {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'warren-hostd-'));
  const layout = layoutOf(dataDir);
  await makeDirs(layout);
  const image = layout.image(IMAGE_ID);
  await mkdir(image.dir);
  await writeFile(image.disk, '');
  await truncate(image.disk, 2 * 1024 ** 3);
  await writeFile(
    image.manifest,
    JSON.stringify({ schemaVersion: 1, imageId: IMAGE_ID, createdAt: '2026-01-01T00:00:00Z', buildSeconds: 1, files: {} }),
  );
  const host = new FakeHost();
  return {
    layout,
    host,
    /** hostd over this data directory; the former one, if any, is not told. */
    open: async (guest = new FakeGuestSide(), platform: Platform = FAKE_PLATFORM, spares = 0, engine?: Engine) => {
      const driver = new FakeDriver(host, platform);
      const log = pino({ level: 'silent' });
      const machines = await Machines.open({
        layout,
        driver,
        guest,
        log,
        imageIds: { base: IMAGE_ID, desktop: 'debian12-desktop-fake', docker: 'debian12-docker-fake' },
        acceleratorReason: 'fake',
        isolationLacks: [],
        spares,
        version: '0',
        ...(engine ? { objectStore: { location: 'a store for tests', engine } } : {}),
      });
      return { machines, guest, driver };
    },
    remove: async () => {
      // A snapshot may still be on its way to the disk.
      await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
      await rm(layout.runDir, { recursive: true, force: true });
    },
  };
}

export function aRequest(source: MachineSource, lease = 1): CreateMachine {
  return createMachineSchema.parse({ lease, source, memoryMiB: 256, diskGiB: 2, egress: { services: [], allow: [] } });
}

import type { IsolationLack } from './contract/machines.ts';
import type { HostEnv } from './env.ts';
import { currentImageIds, type ImageIds } from './guest/image/recipe.ts';
import { type AcceleratorDecision, decideAccelerator } from './hypervisor/accelerator.ts';
import { QemuDriver } from './hypervisor/qemu/driver.ts';
import { currentPlatform, qemuFacts } from './hypervisor/qemu/platform.ts';
import type { Jails } from './jail/jails.ts';
import { type JailOptions, openJails } from './jail/privileges.ts';
import { anyImage } from './storage/images.ts';
import { type Layout, layoutOf } from './storage/layout.ts';
import { prepareDataDir, type Volume } from './storage/volume.ts';

export type OpenHost = {
  jails: Jails;
  lacks: IsolationLack[];
  layout: Layout;
  volume: Volume;
  imageIds: ImageIds;
  driver: QemuDriver;
  accelerator: AcceleratorDecision;
};

/**
 * What every user of this host's machines needs first: the data directory, the image, the accelerator, the jail.
 *
 * @throws `missing_dependency` when QEMU is not there, or no image at all
 */
export async function openHost(env: HostEnv): Promise<OpenHost> {
  const { HOSTD_DATA_DIR: dataDir, HOSTD_ACCELERATOR: forced } = env;
  const layout = layoutOf(dataDir);
  const volume = await prepareDataDir(layout);
  const { version } = await qemuFacts();
  const imageIds = await currentImageIds();
  // A host whose image is of a former recipe still takes up its machines; only cold boots wait for the new image.
  const image = await anyImage(layout, imageIds.base);
  const accelerator = forced
    ? { accelerator: forced, reason: 'set by HOSTD_ACCELERATOR' }
    : await decideAccelerator({ cacheFile: layout.accelerator, qemuVersion: version, imageId: imageIds.base, image });
  const { jails, lacks } = await openJails(jailOptionsOf(env, layout));
  const driver = new QemuDriver(await currentPlatform(accelerator.accelerator), jails);
  return { layout, volume, imageIds, driver, accelerator, jails, lacks };
}

export function jailOptionsOf(env: HostEnv, layout: Layout): JailOptions {
  const { HOSTD_UID_RANGE, HOSTD_CGROUP, HOSTD_IO_MIB_PER_S } = env;
  const ioBytesPerSecond = HOSTD_IO_MIB_PER_S === 0 ? null : HOSTD_IO_MIB_PER_S * 1024 ** 2;
  return { layout, uidRange: HOSTD_UID_RANGE, cgroup: HOSTD_CGROUP ?? null, ioBytesPerSecond };
}

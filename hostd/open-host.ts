import type { Accelerator } from './contract/machines.ts';
import { currentImageId } from './guest/image/recipe.ts';
import { type AcceleratorDecision, decideAccelerator } from './hypervisor/accelerator.ts';
import { QemuDriver } from './hypervisor/qemu/driver.ts';
import { currentPlatform, qemuFacts } from './hypervisor/qemu/platform.ts';
import { anyImage } from './storage/images.ts';
import { type Layout, layoutOf } from './storage/layout.ts';
import { prepareDataDir, type Volume } from './storage/volume.ts';

export type OpenHost = {
  layout: Layout;
  volume: Volume;
  imageId: string;
  driver: QemuDriver;
  accelerator: AcceleratorDecision;
};

/**
 * What every user of this host's machines needs first: the data directory, the image, the accelerator.
 *
 * @param forced skips the probe
 * @throws `missing_dependency` when QEMU is not there, or no image at all
 */
export async function openHost(dataDir: string, forced?: Accelerator): Promise<OpenHost> {
  const layout = layoutOf(dataDir);
  const volume = await prepareDataDir(layout);
  const { version } = await qemuFacts();
  const imageId = await currentImageId();
  // A host whose image is of a former recipe still takes up its machines; only cold boots wait for the new image.
  const image = await anyImage(layout, imageId);
  const accelerator = forced
    ? { accelerator: forced, reason: 'set by HOSTD_ACCELERATOR' }
    : await decideAccelerator({ cacheFile: layout.accelerator, qemuVersion: version, imageId, image });
  const driver = new QemuDriver(await currentPlatform(accelerator.accelerator));
  return { layout, volume, imageId, driver, accelerator };
}

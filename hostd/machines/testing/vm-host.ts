import { loadDataDirEnv } from '../../env.ts';
import { messageOf } from '../../errors.ts';
import { currentImageId } from '../../guest/image/recipe.ts';
import { decideAccelerator } from '../../hypervisor/accelerator.ts';
import type { Platform } from '../../hypervisor/driver.ts';
import { currentPlatform, qemuFacts } from '../../hypervisor/qemu/platform.ts';
import { requireImage } from '../../storage/images.ts';
import { type ImageFiles, type Layout, layoutOf } from '../../storage/layout.ts';
import { prepareDataDir } from '../../storage/volume.ts';

/** Why tests with real machines cannot run here; null when they can. A missing image is no excuse: it can be built. */
export async function whyNoVms(): Promise<string | null> {
  return qemuFacts().then(() => null, messageOf);
}

/** What this host's machines are made of, for tests. They share the data directory's image and nothing else. */
export async function vmTestHost(): Promise<{ layout: Layout; platform: Platform; image: ImageFiles; imageId: string }> {
  const env = loadDataDirEnv();
  const layout = layoutOf(env.HOSTD_DATA_DIR);
  await prepareDataDir(layout);
  const imageId = await currentImageId();
  const image = await requireImage(layout, imageId);
  const { version } = await qemuFacts();
  const { accelerator } = env.HOSTD_ACCELERATOR
    ? { accelerator: env.HOSTD_ACCELERATOR }
    : await decideAccelerator({ cacheFile: layout.accelerator, qemuVersion: version, imageId, image });
  return { layout, platform: await currentPlatform(accelerator), image, imageId };
}

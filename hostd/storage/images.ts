import { readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { BASE_VARIANT, type ImageVariant } from '../contract/images.ts';
import { HostdError } from '../errors.ts';
import { readIfExists } from './files.ts';
import type { ImageFiles, Layout } from './layout.ts';
import { discard } from './trash.ts';

/** image.json. Images built before there were content ids have none. */
export const imageManifestSchema = z.object({
  schemaVersion: z.literal(1),
  imageId: z.string(),
  /** See guest/image/content.ts. */
  contentId: z.string().nullable().default(null),
  createdAt: z.iso.datetime(),
  buildSeconds: z.number(),
  /** Where Debian packages came from. */
  mirror: z.string().nullable().default(null),
  /** Versions by name: what a content id that differs for one recipe is explained by. */
  packages: z.record(z.string(), z.string()).default({}),
  npm: z.record(z.string(), z.string()).default({}),
  files: z.record(z.string(), z.object({ bytes: z.number().int(), sha256: z.string().optional() })),
});
export type ImageManifest = z.infer<typeof imageManifestSchema>;

/** The image's manifest, null when the image was never finished. */
export async function findImage(layout: Layout, imageId: string): Promise<ImageManifest | null> {
  const text = await readIfExists(layout.image(imageId).manifest);
  return text === null ? null : imageManifestSchema.parse(JSON.parse(text));
}

/** Also those that were begun and not finished; builds in progress have a dot in front. */
async function imageIds(layout: Layout): Promise<string[]> {
  return (await readdir(layout.images)).filter((name) => !name.startsWith('.'));
}

/**
 * @param variant what to build when it is missing; absent for an image of a former recipe, which cannot be built again
 * @throws `missing_dependency` when the image is not built
 */
export async function requireImage(layout: Layout, imageId: string, variant?: ImageVariant): Promise<ImageFiles> {
  if (await findImage(layout, imageId)) return layout.image(imageId);
  const built = await imageIds(layout);
  const fix = variant
    ? `run \`npx node hostd/guest/image/build.ts ${variant}\`, or ask hostd for it: PUT /v1/images/${variant}`
    : 'it belongs to an earlier release: start anew from a template';
  throw new HostdError('missing_dependency', {
    message: `the guest image ${imageId} is not built (found: ${built.join(', ') || 'none'}): ${fix}`,
    phase: 'storage.image',
  });
}

/** The wanted image, or any that is built: enough to find out what this host can do. @throws `missing_dependency` when there is none */
export async function anyImage(layout: Layout, wanted: string): Promise<ImageFiles> {
  for (const imageId of [wanted, ...(await imageIds(layout))]) {
    if (await findImage(layout, imageId)) return layout.image(imageId);
  }
  return requireImage(layout, wanted, BASE_VARIANT);
}

/** Removes the images of former recipes that nothing refers to. Images that are linked in from elsewhere are left alone. */
export async function pruneImages(layout: Layout, isKept: (imageId: string) => boolean): Promise<void> {
  if (
    (await realpath(layout.images)) !==
    (await realpath(layout.dataDir).then((dir) => path.join(dir, path.basename(layout.images))))
  )
    return;
  for (const imageId of await imageIds(layout)) {
    if (!isKept(imageId)) await discard(layout, layout.image(imageId).dir);
  }
}

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HostdError } from '../../errors.ts';
import type { LayerSource } from '../chunks/store-layer.ts';
import { findImage, imageManifestSchema } from '../images.ts';
import type { Layout } from '../layout.ts';
import { type StoredManifest, storedManifestSchema } from '../snapshots.ts';
import type { FoundLayer } from './engine.ts';
import { readReplica } from './replica-file.ts';

/*
 * What a snapshot's or an image's layer is made of, and what of it this host has. A snapshot stands on the snapshot it was
 * resumed or forked from, the first one on the image it was booted from.
 */

/** What a layer says of itself beside its files. */
export const layerMetaSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('image'), manifest: imageManifestSchema }),
  z.object({
    kind: z.literal('snapshot'),
    manifest: storedManifestSchema,
    /** Ref of the image that its kernel and initrd are in; null when the host that stored it no longer had it. */
    imageRef: z.string().nullable(),
  }),
]);
export type LayerMeta = z.infer<typeof layerMetaSchema>;

/** @throws `incompatible` for one that a newer hostd wrote */
export function parseMeta(name: string, { meta }: FoundLayer): LayerMeta {
  const parsed = layerMetaSchema.safeParse(meta);
  if (parsed.success) return parsed.data;
  throw new HostdError('incompatible', {
    message: `the copy of ${name} was made by another release of hostd, whose manifest this one cannot read: use that release`,
    phase: 'store.meta',
  });
}

/** Two builds of one recipe are not the same bytes, so an image is stored under its recipe's id and its build's. */
export async function imageRefOf(layout: Layout, imageId: string): Promise<string | null> {
  const manifest = await findImage(layout, imageId);
  if (!manifest) return null;
  const build = createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
  return `image-${imageId}-${build.slice(0, 16)}`;
}

type Common = Pick<LayerSource, 'createdAt' | 'group' | 'checkpoint'>;

export async function imageSource(layout: Layout, imageId: string, name: string): Promise<LayerSource> {
  const files = layout.image(imageId);
  const manifest = await findImage(layout, imageId);
  const meta: LayerMeta = { kind: 'image', manifest: manifest! };
  return {
    name,
    files: [
      { name: 'disk', path: files.disk, parentPath: null },
      { name: 'kernel', path: files.kernel, parentPath: null },
      { name: 'initrd', path: files.initrd, parentPath: null },
    ],
    parent: null,
    meta,
    group: name,
    // No retention rule lets it go: machines may be booted from it as long as a snapshot names it.
    checkpoint: true,
    createdAt: manifest!.createdAt,
  };
}

/** @param parent the layer it stands on and where this host has that layer's files */
export function snapshotSource(
  layout: Layout,
  manifest: StoredManifest,
  parent: { layerId: string; paths: Record<string, string> } | null,
  imageRef: string | null,
  common: Omit<Common, 'createdAt'>,
): LayerSource {
  const paths = snapshotPaths(layout, manifest);
  const meta: LayerMeta = { kind: 'snapshot', manifest, imageRef };
  return {
    name: manifest.snapshotId,
    files: Object.entries(paths).map(([name, path]) => ({ name, path, parentPath: parent?.paths[name] ?? null })),
    parent: parent?.layerId ?? null,
    meta,
    createdAt: manifest.createdAt,
    ...common,
  };
}

/** The files that a snapshot's manifest names: a snapshot of a disk alone has no memory. */
export function snapshotPaths(
  layout: Layout,
  { snapshotId, files }: Pick<StoredManifest, 'snapshotId' | 'files'>,
): Record<string, string> {
  const known = layout.snapshot(snapshotId);
  const names = (['memory', 'disk', 'deviceState'] as const).filter((name) => files[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, known[name]]));
}

/** The nearest layer below a found one whose files this host has, to clone them instead of fetching them. */
export async function findLocalBase(
  layout: Layout,
  found: FoundLayer,
): Promise<{ layerId: string; paths: Record<string, string> } | null> {
  for (const { name, layerId, files } of found.chain.slice(0, -1).reverse()) {
    const paths = name.startsWith('image-') ? await localImage(layout, name) : await localSnapshot(layout, name, layerId, files);
    if (paths) return { layerId, paths };
  }
  return null;
}

async function localSnapshot(layout: Layout, snapshotId: string, layerId: string, names: readonly string[]) {
  const files = layout.snapshot(snapshotId);
  const replica = await readReplica(files);
  if (replica?.layerId !== layerId || replica.evicted) return null;
  return Object.fromEntries(
    (['memory', 'disk', 'deviceState'] as const).filter((name) => names.includes(name)).map((name) => [name, files[name]]),
  );
}

async function localImage(layout: Layout, ref: string) {
  const imageId = /^image-(.+)-[0-9a-f]{16}$/.exec(ref)?.[1];
  if (imageId === undefined || (await imageRefOf(layout, imageId)) !== ref) return null;
  const { disk, kernel, initrd } = layout.image(imageId);
  return { disk, kernel, initrd };
}

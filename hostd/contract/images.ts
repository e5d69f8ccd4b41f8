import { z } from 'zod';

/** Names of the images a machine can boot from. What is in each is declared in hostd/guest/image/variants.ts. */
export const IMAGE_VARIANTS = ['base', 'desktop', 'docker'] as const;
export type ImageVariant = (typeof IMAGE_VARIANTS)[number];
export const BASE_VARIANT = 'base' satisfies ImageVariant;

export const imageVariantSchema = z.enum(IMAGE_VARIANTS, {
  error: ({ input }) => `there is no image ${JSON.stringify(input)}; there are ${IMAGE_VARIANTS.join(', ')}`,
});

/** Whether machines of this image have a screen that `WS /v1/machines/:machineId/desktop` leads to. */
export function hasDesktop(variant: ImageVariant): boolean {
  return variant === 'desktop';
}

/** `failed`: the last build did not end well; asking for it again tries again. */
export const IMAGE_STATES = ['absent', 'building', 'ready', 'failed'] as const;

export const imageViewSchema = z.object({
  variant: imageVariantSchema,
  /** Names the recipe: changes with everything the image is made from but the day's Debian mirror. */
  imageId: z.string(),
  state: z.enum(IMAGE_STATES),
  /** Names the result: SHA-256 over every file of the root disk, the kernel and the initrd. Null until it is built. */
  contentId: z.string().nullable(),
  /** Bytes the image occupies; 0 until it is built. */
  storedBytes: z.number().int(),
  builtAt: z.iso.datetime().nullable(),
  /** What the build is doing now, for people; null when there is none. */
  stage: z.string().nullable(),
  /** Why the last build failed: cause, the end of its output and the next step. */
  failure: z.string().nullable(),
});
export type ImageView = z.infer<typeof imageViewSchema>;

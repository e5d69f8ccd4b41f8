import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { IMAGE_VARIANTS, type ImageVariant, type ImageView } from '../../contract/images.ts';
import { messageOf } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { allocatedBytes } from '../../storage/files.ts';
import { findImage } from '../../storage/images.ts';
import type { Layout } from '../../storage/layout.ts';
import { type ImageIds, RECIPE_DIR } from './recipe.ts';

const TAIL_LINES = 12;
const PROGRAM = path.join(RECIPE_DIR, 'build.ts');

export type ImageBuildsOptions = {
  layout: Layout;
  imageIds: ImageIds;
  log: Logger;
  /** Called when a new image is there. */
  onBuilt: () => void;
  /** What builds a variant; tests have one of their own. */
  builder?: (variant: ImageVariant) => readonly [program: string, ...args: string[]];
};

/** A build under way: its newest line of output. */
type Build = { stage: string };

/**
 * Images that this host has, and builds of those it has not. A build is a process of its own; what is known of it here is lost
 * with hostd, and so is the build: whoever asked asks again.
 */
export class ImageBuilds {
  readonly #options: ImageBuildsOptions;
  readonly #builds = new Map<ImageVariant, Build>();
  readonly #failures = new Map<ImageVariant, string>();

  constructor(options: ImageBuildsOptions) {
    this.#options = options;
  }

  list(): Promise<ImageView[]> {
    return Promise.all(IMAGE_VARIANTS.map((variant) => this.#view(variant)));
  }

  /** Starts a build unless the image is ready or being built. Does not wait for it. */
  async build(variant: ImageVariant): Promise<ImageView> {
    const view = await this.#view(variant);
    if (view.state === 'ready' || this.#builds.has(variant)) return this.#view(variant);
    const build: Build = { stage: 'starting' };
    this.#builds.set(variant, build);
    this.#failures.delete(variant);
    void this.#run(variant, build);
    return this.#view(variant);
  }

  async #view(variant: ImageVariant): Promise<ImageView> {
    const { layout, imageIds } = this.#options;
    const imageId = imageIds[variant];
    const manifest = await findImage(layout, imageId);
    const { disk, kernel, initrd } = layout.image(imageId);
    const sizes = manifest ? await Promise.all([disk, kernel, initrd].map(allocatedBytes)) : [];
    const stage = this.#builds.get(variant)?.stage ?? null;
    const failure = this.#failures.get(variant) ?? null;
    return {
      variant,
      imageId,
      state: manifest ? 'ready' : stage !== null ? 'building' : failure !== null ? 'failed' : 'absent',
      contentId: manifest?.contentId ?? null,
      storedBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
      builtAt: manifest?.createdAt ?? null,
      stage: manifest ? null : stage,
      failure: manifest ? null : failure,
    };
  }

  /** Never rejects. */
  async #run(variant: ImageVariant, build: Build): Promise<void> {
    const { log, builder = (name) => [process.execPath, PROGRAM, name], onBuilt } = this.#options;
    const startedAt = performance.now();
    const tail: string[] = [];
    const fields = () => ({ variant, durationMs: Math.round(performance.now() - startedAt) });
    log.info({ event: 'image.build', variant }, 'an image is being built');
    try {
      const [program, ...args] = builder(variant);
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      const ended = new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', resolve);
      });
      for (const stream of [child.stdout, child.stderr]) {
        readline.createInterface({ input: stream }).on('line', (line) => {
          if (tail.push(line) > TAIL_LINES) tail.shift();
          build.stage = line.replace(/^\[ *\d+\.\d s\] /, '').trim() || build.stage;
        });
      }
      const code = await ended;
      if (code !== 0) throw new Error(`the build ended with code ${code}\n${tail.join('\n')}`);
      log.info({ event: 'image.built', ...fields() }, 'an image is built');
    } catch (error) {
      log.warn({ event: 'image.build_failed', ...fields(), err: error }, 'an image could not be built');
      const next = `Run \`npx node hostd/guest/image/build.ts ${variant}\` on the host to see it whole.`;
      this.#failures.set(variant, `${messageOf(error)}\n${next}`);
    } finally {
      this.#builds.delete(variant);
    }
    if (!this.#failures.has(variant)) onBuilt();
  }
}

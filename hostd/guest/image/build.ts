import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { BASE_VARIANT, type ImageVariant, imageVariantSchema } from '../../contract/images.ts';
import { loadHostEnv } from '../../env.ts';
import { HostdError, messageOf } from '../../errors.ts';
import { imageFiles, type Layout, layoutOf } from '../../storage/layout.ts';
import { prepareDataDir } from '../../storage/volume.ts';
import { type BuildContext, buildImage, makeImage, readFacts, sha256Of } from './build-image.ts';
import { explainDifference } from './explain.ts';
import { imageIdOf, recipeOf } from './recipe.ts';

const HELP = `npx node hostd/guest/image/build.ts [VARIANT] [options]      VARIANT is base unless named; see variants.ts

  --force         build it even when it is there, and say what changed
  --twice         build it twice beside what is there and compare: exit code 1 when the content differs
  --explain A B   why two images have other content; ids, or directories that hold an image.json`;

const startedAt = performance.now();
const print = (line: string) => process.stdout.write(`${line}\n`);
const report = (stage: string) => print(`[${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s] ${stage}`);

function filesOf(layout: Layout, idOrDir: string) {
  return idOrDir.includes('/') ? imageFiles(path.resolve(idOrDir)) : layout.image(idOrDir);
}

/** Prints why two images differ. @returns whether they are the same */
async function explain(layout: Layout, a: string, b: string): Promise<boolean> {
  const { same, lines } = explainDifference(await readFacts(filesOf(layout, a)), await readFacts(filesOf(layout, b)));
  for (const line of lines) print(line);
  return same;
}

/** Scripts of Debian packages run with this; what else hostd was started with is none of their business. */
function buildEnv(all: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const passed = /^(path|home|user|tmpdir|lang|term|(http|https|no|all)_proxy|npm_config_.*|ssl_cert_.*|node_extra_ca_certs)$/i;
  return Object.fromEntries(Object.entries(all).filter(([name]) => passed.test(name))) as NodeJS.ProcessEnv;
}

async function buildTwice(ctx: BuildContext, variant: ImageVariant): Promise<boolean> {
  const { layout } = ctx;
  const outs = ['first', 'second'].map((name) => path.join(layout.images, `.build-${variant}-${name}-${process.pid}`));
  const [first, second] = outs as [string, string];
  try {
    for (const out of outs) print(`content ${(await makeImage(ctx, recipeOf(variant), out)).contentId}`);
    const [left, right] = await Promise.all([first, second].map((out) => sha256Of(imageFiles(out).disk)));
    print(left === right ? `The disks are the same byte for byte: ${left}` : 'The disks hold their files in another layout');
    const same = await explain(layout, first, second);
    // Whoever has built it twice need not wait for it a third time.
    await rename(second, layout.image(await imageIdOf(recipeOf(variant))).dir).catch(() => undefined);
    return same;
  } finally {
    for (const out of outs) await rm(out, { recursive: true, force: true });
  }
}

async function rebuild(ctx: BuildContext, variant: ImageVariant): Promise<void> {
  const before = await readFacts(ctx.layout.image(await imageIdOf(recipeOf(variant)))).catch(() => null);
  const imageId = await buildImage(ctx, variant, { force: true });
  if (before) for (const line of explainDifference(before, await readFacts(ctx.layout.image(imageId))).lines) print(line);
}

async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      force: { type: 'boolean' },
      twice: { type: 'boolean' },
      explain: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    print(HELP);
    return true;
  }
  const { HOSTD_DATA_DIR, HOSTD_DEBIAN_MIRROR } = loadHostEnv();
  const layout = layoutOf(HOSTD_DATA_DIR);
  const [first = BASE_VARIANT, second] = positionals;
  if (values.explain) {
    if (second === undefined) throw new Error(`--explain takes two images\n\n${HELP}`);
    return explain(layout, first, second);
  }
  const variant = imageVariantSchema.safeParse(first);
  if (!variant.success) throw new Error(variant.error.issues[0]!.message);
  report('data directory');
  print(`           ${(await prepareDataDir(layout)).detail}`);
  const ctx = { layout, mirror: HOSTD_DEBIAN_MIRROR, env: buildEnv(process.env), report };
  if (values.twice) return buildTwice(ctx, variant.data);
  if (values.force) await rebuild(ctx, variant.data);
  else await buildImage(ctx, variant.data, { force: false });
  return true;
}

// Whoever reads this output may be gone; a build that nobody waits for ends, and the next one removes what it left.
process.stdout.on('error', () => process.exit(1));

try {
  if (!(await main())) process.exitCode = 1;
} catch (error) {
  const tail = error instanceof HostdError && error.tail ? `\n${error.tail}` : '';
  process.stderr.write(`${messageOf(error)}${tail}\n`);
  process.exitCode = 1;
}

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Layout, layoutOf } from '../../storage/layout.ts';
import { makeDirs } from '../../storage/volume.ts';
import { ImageBuilds } from './image-builds.ts';

const IDS = { base: 'debian12-base-1', desktop: 'debian12-desktop-1', docker: 'debian12-docker-1' };
let layout: Layout;
beforeEach(async () => {
  layout = layoutOf(await mkdtemp(path.join(os.tmpdir(), 'warren-images-')));
  await makeDirs(layout);
});
afterEach(async () => {
  for (const dir of [layout.dataDir, layout.runDir]) await rm(dir, { recursive: true });
});

/** A build that goes on when the test says so: it waits for a file of that name. */
function buildsWith(script: string) {
  const go = path.join(layout.dataDir, 'go');
  const onBuilt = vi.fn();
  const wait = `while [ ! -e "${go}" ]; do sleep 0.01; done`;
  const builder = () => ['sh', '-c', `${script.replace('WAIT', wait)}`] as const;
  const builds = new ImageBuilds({ layout, imageIds: IDS, log: pino({ level: 'silent' }), onBuilt, builder });
  const view = async () => (await builds.list()).find(({ variant }) => variant === 'desktop')!;
  return { builds, view, onBuilt, letGo: () => writeFile(go, '') };
}

async function putImage(imageId: string): Promise<void> {
  const { dir, disk, manifest } = layout.image(imageId);
  await mkdir(dir, { recursive: true });
  await writeFile(disk, 'disk');
  const about = { schemaVersion: 1, imageId, contentId: 'c'.repeat(64), createdAt: new Date(0).toISOString(), buildSeconds: 1 };
  await writeFile(manifest, JSON.stringify({ ...about, files: {} }));
}

describe('builds of images', () => {
  it('show what they are doing, run once however often they are asked for, and tell when they are done', async () => {
    const { builds, view, onBuilt, letGo } = buildsWith('echo "[   1.5 s] unpacking"; WAIT');
    expect(await view()).toMatchObject({ state: 'absent', contentId: null, stage: null, failure: null });
    expect(await builds.build('desktop')).toMatchObject({ state: 'building' });
    await vi.waitFor(async () => expect(await view()).toMatchObject({ state: 'building', stage: 'unpacking' }));
    await Promise.all([builds.build('desktop'), builds.build('desktop')]);
    await putImage(IDS.desktop);
    await letGo();
    await vi.waitFor(() => expect(onBuilt).toHaveBeenCalledTimes(1));
    expect(await view()).toMatchObject({
      state: 'ready',
      contentId: 'c'.repeat(64),
      stage: null,
      builtAt: new Date(0).toISOString(),
    });
    expect((await view()).storedBytes).toBeGreaterThan(0);
    expect(await builds.build('desktop')).toMatchObject({ state: 'ready' });
    expect(onBuilt).toHaveBeenCalledTimes(1);
  });

  it('that fail say why and what to do, and can be asked for again', async () => {
    const { builds, view, onBuilt, letGo } = buildsWith('echo the mirror is away >&2; exit 3; WAIT');
    await builds.build('desktop');
    await vi.waitFor(async () => expect((await view()).state).toBe('failed'));
    expect((await view()).failure).toContain('ended with code 3\nthe mirror is away');
    expect((await view()).failure).toContain('build.ts desktop');
    expect(onBuilt).not.toHaveBeenCalled();
    expect(await builds.build('desktop')).toMatchObject({ state: 'building', failure: null });
    await letGo();
  });

  it('whose program is not there fail too, instead of staying under way', async () => {
    const builder = () => ['/no/such/program'] as const;
    const builds = new ImageBuilds({ layout, imageIds: IDS, log: pino({ level: 'silent' }), onBuilt: () => {}, builder });
    await builds.build('base');
    await vi.waitFor(async () => expect((await builds.list())[0]).toMatchObject({ variant: 'base', state: 'failed' }));
  });
});

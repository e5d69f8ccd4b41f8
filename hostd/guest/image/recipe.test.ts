import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { IMAGE_VARIANTS } from '../../contract/images.ts';
import { GUEST } from '../../contract/machines.ts';
import { archiveUrl, DEBIAN_MIRROR, sourcesList } from './mirror.ts';
import { imageIdOf, RECIPE_DIR, recipeOf } from './recipe.ts';
import { VARIANTS } from './variants.ts';

describe('recipes', () => {
  it('have everything of the one they extend, once and first', () => {
    const [base, desktop] = [recipeOf('base'), recipeOf('desktop')];
    expect(desktop.debian.slice(0, base.debian.length)).toEqual(base.debian);
    expect(desktop.debian).toContain('chromium');
    expect(base.debian).not.toContain('chromium');
    expect(desktop.units).toEqual(expect.arrayContaining([...base.units]));
    for (const { debian, units } of [base, desktop]) {
      expect(new Set(debian).size).toBe(debian.length);
      expect(new Set(units).size).toBe(units.length);
    }
  });

  it.each(IMAGE_VARIANTS)('name folders and units that are there: %s', async (variant) => {
    const { files, units } = recipeOf(variant);
    for (const folder of files) await access(path.join(RECIPE_DIR, folder));
    const places = files.map((folder) => path.join(RECIPE_DIR, folder, 'etc/systemd/system'));
    for (const unit of units) await Promise.any(places.map((place) => access(path.join(place, unit))));
  });

  it('leave to the first use what would start at boot without need', () => {
    expect(recipeOf('base').unitsOnDemand).toEqual([]);
    expect(recipeOf('docker').unitsOnDemand).toEqual(expect.arrayContaining(['docker.service', 'containerd.service']));
  });

  it('give containers one address of the proxy, everywhere', async () => {
    const read = (file: string) => readFile(path.join(RECIPE_DIR, 'rootfs-docker', file), 'utf8');
    const address = JSON.parse(await read('etc/docker/daemon.json')).bip.split('/')[0];
    expect(await read('etc/systemd/system/warren-container-proxy.socket')).toContain(`\nListenStream=${address}:3128\n`);
    expect(await read('etc/systemd/system/warren-container-proxy.service')).toContain(` ${new URL(GUEST.proxyUrl).host}\n`);
    for (const home of ['etc/skel', 'root']) {
      const { httpProxy, httpsProxy } = JSON.parse(await read(`${home}/.docker/config.json`)).proxies.default;
      expect([httpProxy, httpsProxy]).toEqual(Array(2).fill(`http://${address}:3128`));
    }
  });

  it('have an id that only their own text changes', async () => {
    const id = await imageIdOf(recipeOf('base'));
    expect(id).toMatch(/^debian12-base-[0-9a-f]{16}$/);
    const more = { ...VARIANTS, desktop: { ...VARIANTS.desktop, debian: [...VARIANTS.desktop.debian, 'xterm'] } };
    expect(await imageIdOf(recipeOf('base', more))).toBe(id);
    expect(await imageIdOf(recipeOf('desktop', more))).not.toBe(await imageIdOf(recipeOf('desktop')));
    const below = { ...VARIANTS, base: { ...VARIANTS.base, debian: [...VARIANTS.base.debian, 'xterm'] } };
    expect(await imageIdOf(recipeOf('desktop', below))).not.toBe(await imageIdOf(recipeOf('desktop')));
  });
});

describe('mirrors', () => {
  it('put the archive’s name wherever it stands', () => {
    expect(archiveUrl(DEBIAN_MIRROR, 'debian')).toMatch(/\/debian$/);
    const dated = 'http://mirror.test/archive/{archive}/20261101T000000Z';
    expect(sourcesList('bookworm', (archive) => archiveUrl(dated, archive))).toEqual([
      'deb http://mirror.test/archive/debian/20261101T000000Z bookworm main',
      'deb http://mirror.test/archive/debian/20261101T000000Z bookworm-updates main',
      'deb http://mirror.test/archive/debian-security/20261101T000000Z bookworm-security main',
    ]);
  });
});

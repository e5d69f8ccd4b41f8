import { access } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { IMAGE_VARIANTS } from '../../contract/images.ts';
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

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoVms } from '../../hostd/machines/testing/vm-host.ts';
import type { Category } from './attempt.ts';
import { channels } from './attempts/channels.ts';
import { devices } from './attempts/devices.ts';
import { ends } from './attempts/ends.ts';
import { network } from './attempts/network.ts';
import { addresses, requests, tunnels } from './attempts/proxy.ts';
import { services } from './attempts/services.ts';
import { snapshots } from './attempts/snapshots.ts';
import { runCategories } from './matrix.ts';
import { isFailure } from './report.ts';
import { World } from './world.ts';

/*
 * The part of `npm run escape-matrix` that takes a minute or two: whatever needs no flood once from a booted machine, what a
 * policy must survive again from a fork.
 */
const reason = await whyNoVms();

/** The category with these attempts only, and its controls. */
const only = (category: Category, ...names: string[]): Category => {
  const attempts = category.attempts.filter(({ name }) => names.includes(name));
  if (attempts.length !== names.length) throw new Error(`${category.name} lacks one of ${names.join(', ')}`);
  return { ...category, attempts };
};

describe.skipIf(reason !== null)(`a hostile machine${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let world: World;
  const failures = async (categories: Category[]) => (await runCategories(world, categories)).filter(isFailure);

  beforeAll(async () => {
    world = await World.make();
    await world.boot();
  });
  afterAll(() => world?.end());

  it('reaches nothing outside, freshly booted', async () => {
    expect(await failures([network, addresses, tunnels, requests, services, devices])).toEqual([]);
  });

  it('does not stop hostd with what it says on its ports', async () => {
    const abused = only(channels, 'agent: forged replies to every number', 'SSH: a banner and a packet of four gigabytes');
    expect(await failures([abused])).toEqual([]);
  });

  it('is not woken from files that were changed meanwhile', async () => {
    await world.suspend();
    const changed = only(
      snapshots,
      'one bit of the device state',
      'memory size in the manifest',
      'a manifest without a signature',
    );
    expect(await failures([changed])).toEqual([]);
  });

  it('reaches nothing outside as a fork, and is exited when it ends itself', async () => {
    await world.fork();
    const ended = only(ends, 'a kernel panic', 'a guest agent that answers lies, through a suspend and a resume');
    expect(await failures([addresses, services, ended])).toEqual([]);
  });
});

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Layout, layoutOf } from '../storage/layout.ts';
import { makeDirs } from '../storage/volume.ts';
import { CHECKS } from './checks.ts';

let layout: Layout;
beforeEach(async () => {
  layout = layoutOf(await mkdtemp(path.join(os.tmpdir(), 'warren-doctor-')));
  await makeDirs(layout);
});
afterEach(async () => {
  for (const dir of [layout.dataDir, layout.runDir]) await rm(dir, { recursive: true });
});

const check = (name: string) => CHECKS.find((one) => one.name === name)!;

describe('the doctor', () => {
  it('says that the image is missing and how to build it', async () => {
    expect(await check('guest image').run(layout)).toMatchObject({ status: 'warn', fix: expect.stringContaining('build.ts') });
    expect(await check('accelerator').run(layout)).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('not probed'),
    });
  });

  it.each(['disk', 'memory', 'swap', 'cgroup v2'])('gives a fix with every %s finding that is no pass', async (name) => {
    const finding = await check(name).run(layout);
    expect(finding.status === 'pass' || Boolean(finding.fix)).toBe(true);
    expect(finding.detail).not.toMatch(/NaN|undefined/);
  });
});

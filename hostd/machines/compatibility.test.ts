import { describe, expect, it } from 'vitest';
import { FAKE_PLATFORM } from '../hypervisor/fake/driver.ts';
import type { StoredManifest } from '../storage/snapshots.ts';
import { decideCompatibility } from './compatibility.ts';

const MANIFEST = {
  ...FAKE_PLATFORM,
  qemuVersion: '7.2.17',
  stateFormat: 'devices',
  files: { memory: { bytes: 1024 } },
  hostBootId: 'boot-1',
} as unknown as StoredManifest;
const FACTS = { platform: FAKE_PLATFORM, hostBootId: 'boot-1', durable: false, memoryBytes: 1024 };

describe('whether a snapshot may be loaded', () => {
  it.each([
    ['another accelerator', { platform: { ...FAKE_PLATFORM, accelerator: 'kvm' as const } }],
    ['another CPU model', { platform: { ...FAKE_PLATFORM, cpuModel: 'host:x' } }],
    ['another QEMU series', { platform: { ...FAKE_PLATFORM, qemuVersion: '8.2.1' } }],
    ['another machine type', { platform: { ...FAKE_PLATFORM, machineType: 'pc-q35-8.2' } }],
    ['a short memory file', { memoryBytes: 1000 }],
    ['no memory file', { memoryBytes: -1 }],
    ['a host that went down before memory was on disk', { hostBootId: 'boot-2' }],
  ])('%s is refused with required, found and fix', (_name, change) => {
    const decision = decideCompatibility(MANIFEST, { ...FACTS, ...change });
    expect(decision).toMatchObject({
      ok: false,
      required: expect.any(String),
      found: expect.any(String),
      fix: expect.stringContaining('disk'),
    });
  });

  it('a snapshot of a release that kept memory in a shared file is refused, its disk is offered', () => {
    const decision = decideCompatibility({ ...MANIFEST, stateFormat: 'migration' }, FACTS);
    expect(decision).toMatchObject({
      ok: false,
      required: expect.stringContaining('migration'),
      fix: expect.stringContaining('disk'),
    });
  });

  it('a snapshot of a disk alone is refused', () => {
    const decision = decideCompatibility({ ...MANIFEST, files: { disk: { bytes: 1 } } }, FACTS);
    expect(decision).toMatchObject({ ok: false, required: 'saved memory' });
  });

  it('the same host, another patch release of QEMU, and memory that is on disk after a restart are fine', () => {
    expect(decideCompatibility(MANIFEST, FACTS)).toEqual({ ok: true });
    expect(decideCompatibility(MANIFEST, { ...FACTS, hostBootId: 'boot-2', durable: true })).toEqual({ ok: true });
  });
});

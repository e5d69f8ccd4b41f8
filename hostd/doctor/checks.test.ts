import { describe, expect, it } from 'vitest';
import { CHECKS } from './checks.ts';
import { type HostFacts, parseBuildDate, parseMicrocode } from './facts.ts';

const GIB = 1024 ** 3;
const NOW = Date.parse('2026-11-26');
const lack = (what: string) => ({ what, found: `no ${what}`, why: 'machines harm each other', fix: 'mend it' });
const no = (why: string) => ({ ok: false, why }) as const;

/** A computer that has everything. */
const BEST: HostFacts = {
  now: NOW,
  dataDir: '/data',
  qemu: { ok: true, value: { version: '7.2.22', machineType: 'pc-q35-7.2', builtAt: Date.parse('2026-10-01') } },
  sandbox: { ok: true, value: null },
  missingPackages: [],
  volume: { ok: true, value: { reflink: true, detail: 'files are cloned' } },
  imageId: 'debian12-x',
  imageBuilt: true,
  accelerator: { ok: true, value: { accelerator: 'kvm', reason: 'a probe guest booted' } },
  isolationLacks: { ok: true, value: [] },
  kernel: { release: '6.12.1-amd64', builtAt: Date.parse('2026-10-20') },
  swaps: [],
  smtActive: false,
  ksmRunning: false,
  vulnerabilities: { meltdown: 'Not affected', spectre_v2: 'Mitigation: Retpolines', old_microcode: 'Not affected' },
  microcode: { revision: '0x2007006', isVirtual: false },
  diskFreeBytes: 100 * GIB,
  memoryBytes: 32 * GIB,
  cores: 8,
};

const find = (name: string, set: Partial<HostFacts> = {}) => CHECKS.find((one) => one.name === name)!.decide({ ...BEST, ...set });

describe('the doctor', () => {
  it('has nothing to say of a computer that has everything', () => {
    for (const { name, decide } of CHECKS) expect(decide(BEST), name).toMatchObject({ status: 'pass' });
    expect(new Set(CHECKS.map(({ name }) => name)).size).toBe(CHECKS.length);
  });

  const qemu = (set: object) => ({
    qemu: { ok: true, value: { version: '7.2.22', machineType: 'q35', builtAt: NOW, ...set } } as const,
  });
  const lacks = (what: string): Partial<HostFacts> => ({ isolationLacks: { ok: true, value: [lack(what)] } });
  const swap = (set: object) => ({ swaps: [{ name: '/dev/sda2', encrypted: false, inMemory: false, ...set }] });
  const table: [name: string, status: string, set: Partial<HostFacts>, detail: string][] = [
    ['QEMU', 'fail', { qemu: no('qemu is not installed') }, 'not installed'],
    ['QEMU', 'fail', qemu({ version: '6.1.0' }), '6.1.0'],
    ['QEMU age', 'warn', qemu({ builtAt: Date.parse('2026-05-01') }), '209 days'],
    ['QEMU sandbox', 'fail', { sandbox: no('seccomp support is disabled') }, 'disabled'],
    ['tools', 'fail', { missingPackages: ['bubblewrap', 'xfsprogs'] }, 'bubblewrap xfsprogs'],
    ['data directory', 'fail', { volume: no('read-only file system') }, '/data: read-only'],
    ['data directory', 'warn', { volume: { ok: true, value: { reflink: false, detail: 'files are copied' } } }, 'copied'],
    ['guest image', 'warn', { imageBuilt: false }, 'debian12-x is not built'],
    ['accelerator', 'warn', { accelerator: null }, 'not probed'],
    ['accelerator', 'fail', { accelerator: no('qemu is not installed') }, 'not installed'],
    ['accelerator', 'warn', { accelerator: { ok: true, value: { accelerator: 'tcg', reason: 'no /dev/kvm' } } }, 'no /dev/kvm'],
    ['user ids', 'warn', lacks('a user id per machine'), 'no a user id'],
    ['namespaces', 'warn', lacks('namespaces per machine'), 'no namespaces'],
    ['namespaces', 'warn', lacks('a root directory of its own per machine'), 'no a root directory'],
    ...(['cpu', 'memory', 'io', 'pids'] as const).map(
      (name) => [`cgroup v2 ${name}`, 'warn', lacks(`a limit on ${name}`), `no a limit on ${name}`] as (typeof table)[number],
    ),
    ['user ids', 'fail', { isolationLacks: no('the data directory is full') }, 'full'],
    ['kernel', 'warn', { kernel: { release: '6.1.0-1', builtAt: Date.parse('2025-11-26') } }, '365 days'],
    ['kernel', 'warn', { kernel: { release: '6.18.44', builtAt: null } }, 'does not tell'],
    ['CPU faults', 'warn', { vulnerabilities: {} }, 'does not list'],
    [
      'CPU faults',
      'warn',
      { vulnerabilities: { mds: 'Vulnerable: Clear CPU buffers attempted, no microcode' } },
      'mds: Vulnerable',
    ],
    ['microcode', 'warn', { vulnerabilities: { mds: 'Vulnerable: Clear CPU buffers attempted, no microcode' } }, 'older'],
    ['microcode', 'warn', { vulnerabilities: { old_microcode: 'Vulnerable' } }, 'older'],
    ['microcode', 'warn', { microcode: { revision: '0x1', isVirtual: true } }, 'virtual machine'],
    ['microcode', 'warn', { microcode: { revision: null, isVirtual: false } }, 'does not tell'],
    ['SMT', 'warn', { smtActive: true }, 'on'],
    ['SMT', 'warn', { smtActive: null }, 'does not tell'],
    ['KSM', 'warn', { ksmRunning: true }, 'on'],
    ['swap', 'warn', swap({}), '/dev/sda2'],
    ['disk', 'fail', { diskFreeBytes: 3 * GIB }, '3 GiB'],
    ['disk', 'warn', { diskFreeBytes: 19 * GIB }, '19 GiB'],
    ['memory', 'fail', { memoryBytes: 2 * GIB }, '2 GiB'],
    ['memory', 'warn', { memoryBytes: 6 * GIB }, '6 GiB'],
  ];

  it.each(table)('%s: %s, what was found, why it matters and the fix (%o)', (name, status, set, detail) => {
    const found = find(name, set);
    expect(found).toMatchObject({ status, detail: expect.stringContaining(detail) });
    expect(found.why?.length).toBeGreaterThan(10);
    expect(found.fix?.length).toBeGreaterThan(5);
    expect(JSON.stringify(found)).not.toMatch(/NaN|undefined|null/);
  });

  it('has each check in the table of what it finds', () => {
    expect(new Set(table.map(([name]) => name))).toEqual(new Set(CHECKS.map(({ name }) => name)));
  });

  it.each([
    ['CPU faults', { vulnerabilities: { old_microcode: 'Vulnerable', mds: 'Not affected' } }],
    ['KSM', { ksmRunning: null }],
    ['swap', swap({ encrypted: true })],
    ['swap', swap({ inMemory: true })],
    ['QEMU age', qemu({ builtAt: Date.parse('2026-06-01') })],
    ['user ids', lacks('a limit on io')],
  ] satisfies [string, Partial<HostFacts>][])('%s: nothing to say of %o', (name, set) => {
    expect(find(name, set).status).toBe('pass');
  });
});

describe('facts', () => {
  it.each([
    ['#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2026-09-20)', '2026-09-20T00:00:00.000Z'],
    ['#33-Ubuntu SMP Tue Oct 7 12:00:00 UTC 2025', '2025-10-07T12:00:00.000Z'],
    ['#1 SMP PREEMPT_DYNAMIC @0', null],
  ])('the date of a kernel called %j', (version, date) => {
    const found = parseBuildDate(version);
    expect(found === null ? null : new Date(found).toISOString()).toBe(date);
  });

  it('the microcode, and whether this is a virtual machine', () => {
    const cpuinfo = (flags: string) => `model name\t: X\nmicrocode\t: 0x2f\nflags\t\t: fpu ${flags}\n\nmicrocode\t: 0x2f\n`;
    expect(parseMicrocode(cpuinfo('vme hypervisor lahf_lm'))).toEqual({ revision: '0x2f', isVirtual: true });
    expect(parseMicrocode(cpuinfo('vme lahf_lm'))).toEqual({ revision: '0x2f', isVirtual: false });
    expect(parseMicrocode('')).toEqual({ revision: null, isVirtual: false });
  });
});

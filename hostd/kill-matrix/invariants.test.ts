import { describe, expect, it } from 'vitest';
import type { MachineView, SnapshotView } from '../contract/machines.ts';
import { findBroken, type Remains } from './invariants.ts';
import { listScenarios } from './scenarios.ts';
import { summarize } from './summary.ts';

const machine = (set: Partial<MachineView>) =>
  ({ machineId: 'mch_a', state: 'running', process: { pid: 7, startTimeTicks: '1' }, ...set }) as MachineView;
const snapshot = (snapshotId: string) => ({ snapshotId }) as SnapshotView;
const qemu = (machineId: string, pid: number) => ({ machineId, pid, isKeeper: false });
const keeper = (machineId: string, pid: number) => ({ machineId, pid, isKeeper: true });
const WHOLE: Remains = {
  machines: [machine({}), machine({ machineId: 'mch_b', state: 'exited', process: null })],
  snapshots: [snapshot('snp_a')],
  processes: [qemu('mch_a', 7), keeper('mch_a', 6)],
  machineDirs: ['mch_b', 'mch_a'],
  snapshotDirs: ['snp_a'],
  trash: [],
  unfinished: [],
  socketDirs: ['mch_a'],
  mounts: [],
  uidOwners: ['mch_a'],
  cgroups: ['mch_a'],
};

describe('what a crash may leave wrong', () => {
  it('is nothing on a host that is whole', () => {
    expect(findBroken(WHOLE)).toEqual([]);
  });

  it.each([
    ['a machine without its process', { processes: [] }],
    [
      'a machine with two processes',
      {
        processes: [qemu('mch_a', 7), qemu('mch_a', 8)],
      },
    ],
    ['a process that is not the one listed', { processes: [qemu('mch_a', 8)] }],
    ['a process of a machine that has exited', { processes: [...WHOLE.processes, qemu('mch_b', 9)] }],
    ['the keeper of a jail whose machine has exited', { processes: [...WHOLE.processes, keeper('mch_b', 9)] }],
    ['a user id that no machine runs as', { uidOwners: ['mch_a', 'mch_b'] }],
    ['a cgroup in which no machine runs', { cgroups: ['mch_a', 'mch_b'] }],
    ['a machine with two user ids', { uidOwners: ['mch_a', 'mch_a'] }],
    ['a directory of no machine', { machineDirs: ['mch_a', 'mch_b', 'mch_c'] }],
    ['half a snapshot', { snapshotDirs: ['snp_a', 'snp_b'] }],
    ['something in the trash', { trash: ['mch_c-1234'] }],
    ['a file that was never finished', { unfinished: ['host-id.ab.new'] }],
    ['sockets of no machine', { socketDirs: ['mch_a', 'mch_c'] }],
    ['a mount', { mounts: ['/data/jail'] }],
  ] satisfies [string, Partial<Remains>][])('is found: %s', (_, wrong) => {
    expect(findBroken({ ...WHOLE, ...wrong }).length).toBeGreaterThan(0);
  });
});

describe('the kill matrix', () => {
  it('strikes hostd at every point, and only what can be struck', () => {
    const scenarios = listScenarios();
    const points = new Set(scenarios.map(({ point }) => point));
    expect(scenarios.filter(({ victim }) => victim === 'hostd').map(({ point }) => point)).toEqual(
      expect.arrayContaining([...points]),
    );
    expect(scenarios.some(({ point, victim }) => point === 'create.admitted' && victim === 'qemu')).toBe(false);
  });

  it('is summed up', () => {
    const row = { verb: 'create', victim: 'hostd' } as const;
    const rows = [
      { ...row, point: 'create.admitted', outcome: { broken: [], recoveryMs: 100 } },
      { ...row, point: 'create.running', outcome: { broken: ['a', 'b'], recoveryMs: 300.4 } },
    ];
    expect(summarize(rows)).toEqual({
      kills: 2,
      points: 2,
      brokenInvariants: 2,
      recoveryMsP50: 300,
      recoveryMsP95: 300,
      byVictim: { hostd: { faults: 2, broken: 2 } },
    });
    expect(summarize([])).toMatchObject({ kills: 0, recoveryMsP50: null });
  });
});

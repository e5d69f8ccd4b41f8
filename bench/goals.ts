/* What issue and table call the figures, what each must and should reach, and how a result is judged. Pure. */

type Goal = {
  what: string;
  /** `more`: the higher the better, as with ratios to a peer; `less`: the lower the better. */
  better: 'more' | 'less';
  must: number;
  aim: number;
};

export const GOALS = {
  'resume.timesFasterThanLoadvm': { what: 'resume to first guest reply, against loadvm', better: 'more', must: 40, aim: 100 },
  'resume.timesFasterThanLibvirt': { what: 'the same, against libvirt restore', better: 'more', must: 25, aim: 60 },
  'resume.timesFasterThanColdBoot': { what: 'the same, against a cold boot', better: 'more', must: 60, aim: 150 },
  'resume.growth512MiBTo4GiB': { what: 'own resume at 4 GiB resident against 0.5 GiB', better: 'less', must: 1.5, aim: 1.2 },
  'freeze.timesShorterThanSavevm': { what: 'freeze during a checkpoint, against savevm', better: 'more', must: 50, aim: 300 },
  'suspend.timesFasterThanManagedsave': { what: 'suspend to released, against managedsave', better: 'more', must: 15, aim: 60 },
  'fork20.timesFasterThanLoadvm': { what: '20 forks answering, against 20 loadvm', better: 'more', must: 20, aim: 100 },
  'memory.timesLessThanLoadvm': { what: 'private memory per idle fork, against loadvm', better: 'more', must: 20, aim: 60 },
  'storage.bytesPerDirtyByte': { what: 'bytes stored per byte dirtied', better: 'less', must: 1.5, aim: 1.05 },
  'storage.incrementalTimesFasterThanRestic': {
    what: 'durable incremental snapshot, against restic',
    better: 'more',
    must: 10,
    aim: 40,
  },
  'storage.fleetVsBest': { what: 'twenty sessions stored, against the best peer', better: 'less', must: 0.8, aim: 0.5 },
  'idle.hostdCpuPercent': { what: 'hostd CPU for 20 idle machines, % of a core', better: 'less', must: 2, aim: 2 },
  'idle.hostdRssMiB': { what: 'hostd RSS for 20 idle machines, MiB', better: 'less', must: 150, aim: 150 },
  'idle.guestWorkVsPlainQemu': { what: 'guest CPU work against plain QEMU', better: 'more', must: 0.97, aim: 1 },
  'soak.cycles': { what: 'suspend, resume and fork cycles with the verifier', better: 'more', must: 1_000, aim: 10_000 },
  'soak.mismatches': { what: 'mismatches in them', better: 'less', must: 0, aim: 0 },
  'soak.hangs': { what: 'hangs in them', better: 'less', must: 0, aim: 0 },
  'soak.duplicates': { what: 'duplicate random values in them', better: 'less', must: 0, aim: 0 },
} as const satisfies Record<string, Goal>;

export type FigureKey = keyof typeof GOALS;

/** `null`: not measured; why is said beside it. */
export type Figures = Partial<Record<FigureKey, number | null>>;

export type Verdict = 'aim' | 'must' | 'missed' | 'not measured';

export function judge(key: FigureKey, value: number | null | undefined): Verdict {
  if (value === null || value === undefined || Number.isNaN(value)) return 'not measured';
  const { better, must, aim } = GOALS[key];
  const reaches = (goal: number) => (better === 'more' ? value >= goal : value <= goal);
  if (reaches(aim)) return 'aim';
  return reaches(must) ? 'must' : 'missed';
}

/** `{'a.b': 1}` as `{a: {b: 1}}`: the shape of the JSON line. */
export function nest(figures: Figures): Record<string, Record<string, number | null>> {
  const nested: Record<string, Record<string, number | null>> = {};
  for (const [key, value] of Object.entries(figures)) {
    const [group, name] = key.split('.') as [string, string];
    nested[group] = { ...nested[group], [name]: value ?? null };
  }
  return nested;
}

/*
 * Physical limits of this computer, measured in the same run, and the checks that hold results against them. Pure. A result that
 * is better than its limit was not measured, whatever its number says, and fails the run.
 */
export type Limits = {
  /** Copying memory that both sides have touched already, bytes per second. */
  memcpyBytesPerSecond: number;
  /** First write to fresh memory, bytes per second: what bounds every restore by copying. */
  firstTouchBytesPerSecond: number;
  /** One byte to another process and back over a unix socket, milliseconds. */
  unixRttMs: number;
  /** From spawning QEMU with this guest's devices to its greeting, milliseconds. */
  qemuStartMs: number;
};

/** A result, the least it can be, and why. All in one unit. */
export type Check = { figure: string; value: number; atLeast: number; because: string };

export type Facts = {
  limits: Limits;
  residentBytes: number;
  /** Question and answer with a guest that is awake and warm, through the API. */
  awakeReplyMs: number;
  /** The fastest of each; null where it was not measured. */
  resumeMs: number | null;
  loadvmMs: number | null;
  coldBootMs: number | null;
  suspendMs: number | null;
  savevmMs: number | null;
};

/** What each measured number may not fall below. */
export function checksOf(facts: Facts): Check[] {
  const { limits, residentBytes } = facts;
  const checks: Check[] = [];
  const add = (figure: string, value: number | null, atLeast: number, because: string) => {
    if (value !== null) checks.push({ figure, value, atLeast, because });
  };
  add('resume', facts.resumeMs, facts.awakeReplyMs, 'a guest that must wake first cannot answer sooner than one that is awake');
  const fillMs = (residentBytes / limits.firstTouchBytesPerSecond) * 1000;
  const copyMs = (residentBytes / limits.memcpyBytesPerSecond) * 1000;
  // The rates are of a best case on an idle core, and savevm leaves out zero pages: half of the time is impossible for certain.
  add('loadvm', facts.loadvmMs, Math.min(fillMs, copyMs) / 2, 'memory that is read into a new process is written at least once');
  add('savevm', facts.savevmMs, copyMs / 2, 'memory that is saved is read and written at least once');
  add('cold boot', facts.coldBootMs, limits.qemuStartMs, 'a guest cannot answer before its QEMU does');
  add('suspend', facts.suspendMs, limits.unixRttMs * 4, 'QEMU is asked to stop, to save and to quit, and looked for afterwards');
  return checks;
}

/** Those that are better than they can be. */
export function brokenLimits(checks: readonly Check[]): Check[] {
  return checks.filter(({ value, atLeast }) => !(value >= atLeast));
}

/** Results this close to the harness's own cost say nothing about what is measured. */
export function isAtFloor(valueMs: number, floorMs: number): boolean {
  return valueMs < 2 * floorMs;
}

const NOISE_MAX = 0.05;

/** Whether a side measured against itself says that the machine is quiet enough for the figures of this run. */
export function isQuiet(aa: { ratio: number }): boolean {
  return Math.abs(aa.ratio - 1) <= NOISE_MAX;
}

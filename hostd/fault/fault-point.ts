import { kill, pid, stdout } from 'node:process';

/*
 * Named places in the verbs at which a test may strike, in the manner of PostgreSQL's injection points. Each is a moment
 * between two effects, where a crash leaves the most interesting remains. Nothing happens at them unless one is armed, which
 * only the environment of a process that a test started can do (HOSTD_FAULT).
 */
export const FAULT_POINTS = [
  'create.lease_written',
  'create.admitted',
  'create.files_made',
  'create.qemu_started',
  'create.process_recorded',
  'create.attached',
  'create.state_loaded',
  'create.running',
  'create.woken',
  'create.channel_open',
  'suspend.recorded',
  'suspend.guest_parked',
  'suspend.state_saved',
  'suspend.manifest_written',
  'suspend.qemu_gone',
  'suspend.renamed',
  'suspend.machine_discarded',
  'suspend.durable',
  'checkpoint.prepared',
  'checkpoint.state_saved',
  'checkpoint.manifest_written',
  'checkpoint.renamed',
  'rewind.qemu_gone',
  'rewind.discarded',
  'remove.qemu_gone',
  'discard.renamed',
  'egress.recorded',
  'exit.qemu_gone',
  'recover.begun',
  'recover.machine_done',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

export const FAULT_ACTIONS = ['kill', 'hold', 'ENOSPC', 'EIO'] as const;
type FaultAction = (typeof FAULT_ACTIONS)[number];

/**
 * - `kill`: this process is gone, as by a power cut to it alone.
 * - `hold`: says so on standard output (`{"event":"fault.held","point":…}`) and goes on at SIGUSR2, so that whoever watches
 *   can strike something else meanwhile.
 * - `ENOSPC`, `EIO`: the effect that follows fails with this error.
 */
export type Fault = { point: FaultPoint; action: FaultAction };

let armed: Fault | null = null;

/** Strikes once, the first time the point is passed. */
export function armFault(fault: Fault | null): void {
  armed = fault;
}

/** Passed by the verbs between two effects. @throws the armed errno error */
export async function faultPoint(point: FaultPoint): Promise<void> {
  if (armed?.point !== point) return;
  const { action } = armed;
  armed = null;
  switch (action) {
    case 'kill':
      kill(pid, 'SIGKILL');
      return new Promise(() => {});
    case 'hold': {
      const released = new Promise<void>((resolve) => process.once('SIGUSR2', () => resolve()));
      stdout.write(`${JSON.stringify({ event: 'fault.held', point })}\n`);
      return released;
    }
    case 'ENOSPC':
    case 'EIO':
      throw Object.assign(new Error(`${action}: injected at ${point}`), { code: action });
  }
}

/** `point=action` as in the environment; null for anything else. */
export function parseFault(text: string): Fault | null {
  const [name, how] = text.split('=');
  const point = FAULT_POINTS.find((one) => one === name);
  const action = FAULT_ACTIONS.find((one) => one === how);
  return point && action ? { point, action } : null;
}

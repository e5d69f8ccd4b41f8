import type { Activity } from '../../hostd/contract/machines.ts';
import type { IdleDecision, IdleFacts } from '../../server/sessions/decisions.ts';

/** What was seen of a machine at one moment. */
export type Look = { machineId: string; atMs: number } & Pick<Activity, 'cpuMs' | 'egressBytes'>;

/** Between two looks; null when they are not of the same run of one machine, or in the same moment. */
export function compareLooks(before: Look | null, now: Look): IdleFacts['background'] {
  if (before?.machineId !== now.machineId) return null;
  const ms = now.atMs - before.atMs;
  const cpuMs = now.cpuMs - before.cpuMs;
  const bytes = now.egressBytes - before.egressBytes;
  // hostd counts from zero again when it was started anew.
  if (ms <= 0 || cpuMs < 0 || bytes < 0) return null;
  return { cpuShare: cpuMs / ms, egressBytesPerSecond: (bytes * 1000) / ms };
}

/** For the person who wonders why the session does not sleep; null where that is plain to see. */
export function describeStay(decision: IdleDecision, background: IdleFacts['background']): string | null {
  if (decision.kind !== 'stay' || background === null) return null;
  if (decision.reason === 'cpu') {
    return `Something in the machine still computes: ${Math.round(background.cpuShare * 100)} % of a core.`;
  }
  if (decision.reason === 'download') {
    return `Something in the machine still transfers: ${Math.round(background.egressBytesPerSecond / 1000)} kB a second.`;
  }
  return null;
}

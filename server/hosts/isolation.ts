import type { HostView } from '../../hostd/contract/machines.ts';

/*
 * Who may share a host. Machines of organizations that do not trust each other may be neighbours only where hardware
 * virtualisation and a complete jail keep them apart. (An operator may lift the rule: WARREN_ALLOW_WEAK_ISOLATION.)
 */
export type Neighbourhood = {
  orgId: string;
  /** The organization whose host it is; null when it is nobody's. */
  holderOrgId: string | null;
  /** What keeps the host from keeping organizations apart; null when it has not said. */
  weaknesses: string[] | null;
};

export type NeighbourDecision = { ok: true } | { ok: false; reason: string };

export function decideNeighbour({ orgId, holderOrgId, weaknesses }: Neighbourhood): NeighbourDecision {
  if (holderOrgId === null || holderOrgId === orgId) return { ok: true };
  if (weaknesses === null) return { ok: false, reason: 'it has not reported how it keeps machines apart' };
  return weaknesses.length === 0 ? { ok: true } : { ok: false, reason: weaknesses.join('; ') };
}

/** What a host lacks to keep machines of different organizations apart, for people. Empty when nothing. */
export function listWeaknesses({ accelerator, isolationLacks }: Pick<HostView, 'accelerator' | 'isolationLacks'>): string[] {
  const emulated = accelerator === 'tcg' ? ['machines are emulated (TCG), which is no security boundary'] : [];
  const missing = isolationLacks.map(({ what }) => what);
  return [...emulated, ...(missing.length > 0 ? [`missing: ${missing.join(', ')}`] : [])];
}

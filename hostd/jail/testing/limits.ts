import { openTestHost } from '../../machines/testing/vm-host.ts';
import { CONTROLLERS } from '../cgroups.ts';

/** Why machines have no limits on this host; null when they have all. */
export async function whyNoLimits(): Promise<string | null> {
  const { lacks } = await openTestHost();
  return lacks.find(({ what }) => CONTROLLERS.some((name) => what === `a limit on ${name}`))?.found ?? null;
}

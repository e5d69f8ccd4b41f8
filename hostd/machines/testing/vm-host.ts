import { loadHostEnv } from '../../env.ts';
import { messageOf } from '../../errors.ts';
import { qemuFacts } from '../../hypervisor/qemu/platform.ts';
import { type OpenHost, openHost } from '../../open-host.ts';

/** Why tests with real machines cannot run here; null when they can. A missing image is no excuse: it can be built. */
export async function whyNoVms(): Promise<string | null> {
  return qemuFacts().then(() => null, messageOf);
}

/** This host as hostd would open it, for tests: they share its image and its accelerator and make directories of their own. */
export function openTestHost(): Promise<OpenHost> {
  return openHost(loadHostEnv());
}

import { setTimeout as delay } from 'node:timers/promises';
import type { ImageVariant } from '../../hostd/contract/images.ts';
import type { WorkerDeps } from '../deps.ts';
import { StepError } from '../sessions/driver.ts';
import type { TemplateLog } from './template-log.ts';

/**
 * Sees to it that the host has the image, and shows in the template's log how its build goes on. A build belongs to the host,
 * not to this template: others that want the same image wait for the same one.
 *
 * @throws StepError when the build fails, HostError when the host does not answer
 */
export async function ensureImage(deps: WorkerDeps, hostId: string, variant: ImageVariant, log: TemplateLog): Promise<void> {
  const host = await deps.hosts.client(hostId);
  let shown: string | null = null;
  let image = await host.buildImage(variant);
  if (image.state === 'building') log.line(`Build the image ${variant} (once for this host)`);
  while (image.state !== 'ready') {
    if (image.state === 'failed') {
      const next = 'Have the host’s operator look, then rebuild the template.';
      throw new StepError(`The image ${variant} could not be built`, image.failure ?? 'The host did not say why.', next);
    }
    if (image.stage !== null && image.stage !== shown) log.line(`  ${image.stage}`);
    shown = image.stage;
    await delay(deps.patience.pollMs, undefined, { signal: deps.shutdown });
    const seen = (await host.images()).find((one) => one.variant === variant);
    // A host that was restarted no longer knows of the build.
    image = !seen || seen.state === 'absent' ? await host.buildImage(variant) : seen;
  }
}

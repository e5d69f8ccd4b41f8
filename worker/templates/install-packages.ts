import { runLogged } from '../guest/run-logged.ts';
import type { Guest } from '../guest/run-script.ts';
import { StepError } from '../sessions/driver.ts';
import type { TemplateLog } from './template-log.ts';

const INSTALL_MS_MAX = 30 * 60_000;

/**
 * Installs Debian packages in the template's machine. Here and not in the image, because their scripts run as root: in the
 * machine that is the repository's own affair, on the host it would be everybody's.
 *
 * @throws StepError
 */
export async function installPackages(guest: Guest, packages: readonly string[], log: TemplateLog): Promise<void> {
  const apt = 'sudo DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0';
  const result = await runLogged(guest, {
    name: 'packages',
    // Names of packages hold nothing that a shell reads as anything else; see environmentSchema.
    command: `${apt} update && ${apt} install --no-install-recommends -- ${packages.join(' ')}`,
    timeoutMs: INSTALL_MS_MAX,
    onOutput: (text) => log.add(text),
  });
  if (result.exitCode === 0) return;
  throw new StepError(
    result.timedOut
      ? `Installing packages took longer than ${INSTALL_MS_MAX / 60_000} minutes`
      : `Installing packages ended with exit code ${result.exitCode}`,
    result.log.slice(-4000),
    'Correct `packages` in .warren/environment.yaml, push it, and rebuild the template.',
  );
}

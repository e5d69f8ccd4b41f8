import type { Client } from 'ssh2';
import type { EgressPolicy } from '../contract/egress.ts';
import { HostdError } from '../errors.ts';
import { execInGuest } from './exec.ts';

/*
 * Makes the programs of a machine trust this host's certificate authority, which ends the TLS of inspected hosts. The image brings
 * the settings that point programs at it; machines from older images and snapshots get them here. Safe to repeat.
 */
const DEADLINE_MS = 60_000;
const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
export const GUEST_AUTHORITY_FILE = '/etc/warren/egress-ca.crt';

/** For programs that look neither at the system's bundle nor at its directory by themselves. Also in the image's rootfs. */
export const TRUST_ENV: Readonly<Record<string, string>> = {
  NODE_EXTRA_CA_CERTS: GUEST_AUTHORITY_FILE,
  SSL_CERT_FILE: BUNDLE,
  CURL_CA_BUNDLE: BUNDLE,
  GIT_SSL_CAINFO: BUNDLE,
  PIP_CERT: BUNDLE,
  REQUESTS_CA_BUNDLE: BUNDLE,
};

const ENV_LINES = Object.entries(TRUST_ENV).map(([name, value]) => `${name}=${value}`);

/** The certificate comes on standard input. */
export const TRUST_SCRIPT = `set -eu
file=${GUEST_AUTHORITY_FILE} bundle=${BUNDLE} certs=/etc/ssl/certs local=/usr/local/share/ca-certificates
given=$(cat)
[ -f "$file" ] && [ "$given" = "$(cat "$file")" ] && grep -q '^# warren egress begin$' "$bundle" && exit 0
mkdir -p "$local" /etc/warren
printf '%s\\n' "$given" >"$file.new" && mv "$file.new" "$file" && chmod 644 "$file"
cp "$file" "$local/warren-egress.crt"
cp "$file" "$certs/warren-egress.pem"
ln -sf warren-egress.pem "$certs/$(openssl x509 -noout -hash -in "$file").0"
sed '/^# warren egress begin$/,/^# warren egress end$/d' "$bundle" >"$bundle.new"
{ echo '# warren egress begin'; cat "$file"; echo '# warren egress end'; } >>"$bundle.new"
chmod 644 "$bundle.new" && mv "$bundle.new" "$bundle"
if ! grep -q NODE_EXTRA_CA_CERTS /etc/environment; then
  printf '%s\\n' ${ENV_LINES.join(' ')} >>/etc/environment
  sed -i 's#^SetEnv .*#& ${ENV_LINES.join(' ')}#' /etc/warren/sshd_config
  sed -i 's#^DefaultEnvironment=.*#& ${ENV_LINES.join(' ')}#' /etc/systemd/system.conf.d/warren.conf
  echo 'Defaults env_keep += "${Object.keys(TRUST_ENV).join(' ')}"' >/etc/sudoers.d/warren-egress
  chmod 440 /etc/sudoers.d/warren-egress
  systemctl set-environment ${ENV_LINES.join(' ')} || true
fi
`;

/** Whether anything of this policy ends TLS here. */
export function needsAuthority({ allow }: EgressPolicy): boolean {
  return allow.some(({ mode }) => mode === 'inspect');
}

/** Rejects with `guest_unreachable` when SSH goes away, `internal` with the script's last words when it fails. */
export async function trustAuthority(client: Client, certificate: string): Promise<void> {
  const input = { argv: ['sh', '-c', TRUST_SCRIPT], env: {}, user: 'root' as const, stdin: certificate, timeoutMs: DEADLINE_MS };
  const { exitCode, stderr } = await execInGuest(client, input);
  if (exitCode === 0) return;
  throw new HostdError('internal', {
    message: 'the machine was not made to trust the certificate authority of inspected hosts: their TLS fails inside it',
    phase: 'guest.trust',
    tail: stderr,
  });
}

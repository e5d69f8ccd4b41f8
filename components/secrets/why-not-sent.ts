import { matchesPattern, parseHost, parsePattern } from '../../hostd/contract/canonical-host.ts';

type Rule = { host: string; mode: 'splice' | 'inspect' };
type Secret = { host: string; plainHttp: boolean };

/** Why no request would carry this secret as the rules are now; null when some would. */
export function whyNotSent({ host, plainHttp }: Secret, rules: readonly Rule[]): string | null {
  const parsed = parseHost(host);
  if (parsed?.kind !== 'name') return null;
  const naming = rules.filter((rule) => {
    const pattern = parsePattern(rule.host);
    return pattern !== null && matchesPattern(pattern, parsed.name);
  });
  if (naming.length === 0) return `Not sent: no egress rule names ${host}.`;
  if (naming.some(({ mode }) => mode === 'inspect') || plainHttp) return null;
  return `Not sent: the rule for ${host} splices TLS. Set it to inspect.`;
}

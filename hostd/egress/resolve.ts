import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

const DEADLINE_MS = 10_000;
/** Of one try; a second follows. */
const TRY_MS = 3_000;

export type ResolveOptions = {
  readHosts?: () => Promise<string>;
  /** Those of resolv.conf where none are named. */
  servers?: readonly string[];
  deadlineMs?: number;
};

/**
 * All addresses of a whole name: those of the hosts file, else the name servers'. Not the system's own look-up, which holds one of
 * this process's few threads for as long as a name server takes: whoever runs a slow one would stop the names of all others.
 * Search domains do not count.
 *
 * @throws when there is none
 */
export async function resolveName(host: string, options: ResolveOptions = {}): Promise<string[]> {
  const { readHosts = () => readFile('/etc/hosts', 'utf8'), servers, deadlineMs = DEADLINE_MS } = options;
  const listed = addressesIn(await readHosts().catch(() => ''), host);
  if (listed.length > 0) return listed;
  // Anew each time: it reads resolv.conf when it is made.
  const resolver = new Resolver({ timeout: TRY_MS, tries: 2 });
  if (servers) resolver.setServers(servers);
  const timer = setTimeout(() => resolver.cancel(), deadlineMs);
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  clearTimeout(timer);
  const found = inTurn(v4.status === 'fulfilled' ? v4.value : [], v6.status === 'fulfilled' ? v6.value : []);
  if (found.length > 0) return found;
  const { reason } = (v4.status === 'rejected' ? v4 : v6) as PromiseRejectedResult;
  const isLate = ['ECANCELLED', 'ETIMEOUT'].includes((reason as NodeJS.ErrnoException | undefined)?.code ?? '');
  throw isLate ? new Error('no name server answered in time') : reason;
}

/** Of both families, since not all of them are tried. */
function inTurn(v4: readonly string[], v6: readonly string[]): string[] {
  return Array.from({ length: Math.max(v4.length, v6.length) }, (_, n) => [v4[n], v6[n]]).flatMap((pair) =>
    pair.filter((address) => address !== undefined),
  );
}

function addressesIn(hosts: string, host: string): string[] {
  return hosts.split('\n').flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return isIP(address) !== 0 && names.some((name) => name.toLowerCase() === host) ? [address] : [];
  });
}

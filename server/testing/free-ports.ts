import { once } from 'node:events';
import { createServer } from 'node:net';

/** Ports of the loopback that nobody listened on a moment ago, for servers that cannot choose their own. All different. */
export async function freePorts(count: number): Promise<number[]> {
  const probes = await Promise.all(
    Array.from({ length: count }, async () => {
      const probe = createServer().listen(0, '127.0.0.1');
      await once(probe, 'listening');
      return probe;
    }),
  );
  return Promise.all(
    probes.map(async (probe) => {
      const address = probe.address();
      await new Promise((resolve) => probe.close(resolve));
      if (address === null || typeof address === 'string') throw new Error('no free port');
      return address.port;
    }),
  );
}

export async function freePort(): Promise<number> {
  return (await freePorts(1))[0]!;
}

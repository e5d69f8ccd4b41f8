import { FakeHost } from '../server/hosts/fake/fake-host.ts';
import { FAKE_TOKEN, serveFakeHost } from '../server/hosts/fake/serve-fake-host.ts';
import { createHostClient } from '../server/hosts/host-client.ts';
import { newLease } from './guest/prepare.ts';
import { proofOf, proveAwake, renewSecret, VERIFIER } from './guest/verifier.ts';
import { NO_EGRESS } from './hostd.ts';
import { median } from './stats.ts';

const ROUNDS = 20;

/**
 * What the harness itself costs: the same client, wire and checks against a hostd that does nothing and knows the answers.
 *
 * @returns median milliseconds from a resume to a checked reply
 */
export async function measureFloor(): Promise<number> {
  const fake = new FakeHost();
  const secret = 'ab'.repeat(32);
  fake.programs.set(VERIFIER, (_guest, { args }) => (args[0] === 'renew' ? secret : proofOf(secret, args[1]!)));
  const served = await serveFakeHost(fake);
  try {
    const client = createHostClient({ url: served.url, token: FAKE_TOKEN });
    const [machineId, snapshotId] = ['mch_benchnull0000', 'snp_benchnull0000'];
    const guest = async (argv: string[]) => (await client.exec(machineId, { argv, user: 'root' })).stdout;
    let lease = newLease();
    await client.create(machineId, { lease, source: { kind: 'image' }, egress: NO_EGRESS });
    await client.suspend(machineId, { lease, snapshotId });
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const startedAt = performance.now();
      lease += 1;
      await client.create(machineId, { lease, source: { kind: 'resume', snapshotId }, egress: NO_EGRESS });
      await proveAwake(guest, secret);
      times.push(performance.now() - startedAt);
      await renewSecret(guest);
      await client.remove(machineId, lease);
    }
    return median(times);
  } finally {
    await served.close();
  }
}

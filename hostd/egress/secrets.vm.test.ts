import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import path from 'node:path';
import { Writable } from 'node:stream';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EgressPolicy, egressPolicySchema } from '../contract/egress.ts';
import { createMachineSchema, execSchema, type MachineSource } from '../contract/machines.ts';
import type { Guests } from '../guest/guest-side.ts';
import type { Machines } from '../machines/machines.ts';
import { type MachinesAndInternet, openMachinesAndInternet } from '../machines/testing/machines-and-internet.ts';
import { whyNoVms } from '../machines/testing/vm-host.ts';
import { filesBelow, textsIn } from './testing/scan.ts';

const MACHINE = 'mch_canarytest0001';
const WOKEN = 'mch_canarytest0002';
const SNAPSHOT = 'snp_canarytest0001';
const HOST = 'api.canary.example';
const CANARIES = { secret: `canary-${randomBytes(12).toString('hex')}`, grant: `canary-${randomBytes(12).toString('hex')}` };
/** What the guest itself has in memory and on its disk: the same scan must find it. */
const CONTROL = { memory: `control-${randomBytes(12).toString('hex')}`, disk: `control-${randomBytes(12).toString('hex')}` };
const reason = await whyNoVms();

/**
 * Credentials are used by a real guest, which is then suspended and searched: its memory, its disk, its snapshot, and everything
 * hostd wrote about it. The one host it reaches is a server of this test, let through by a resolver and an exemption of this test.
 */
describe.skipIf(reason !== null)(`secrets and a real machine${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let world: MachinesAndInternet;
  let guests: Guests;
  let machines: Machines;
  let dataDir: string;
  let policy: EgressPolicy;
  let port: number;
  const seen: (string | undefined)[] = [];
  let hostdLog = '';

  beforeAll(async () => {
    const answer: RequestListener = (req, res) => {
      seen.push(req.headers.authorization);
      res.end(`hello from ${req.url}\n`);
    };
    const log = pino(
      { level: 'trace' },
      new Writable({
        write: (chunk, _encoding, done) => {
          hostdLog += chunk;
          done();
        },
      }),
    );
    world = await openMachinesAndInternet({ names: [HOST], answer }, { log });
    ({ guests, machines, httpsPort: port } = world);
    dataDir = world.layout.dataDir;
    policy = egressPolicySchema.parse({
      services: [
        {
          host: 'git.warren.internal',
          upstream: 'http://127.0.0.1:1/git',
          headers: { authorization: `Bearer ${CANARIES.grant}` },
        },
      ],
      allow: [{ id: 'rul_1', host: HOST, ports: [port], mode: 'inspect', methods: ['GET'], paths: ['/v1/**'] }],
      secrets: [{ id: 'sec_1', host: HOST, header: 'authorization', value: `Bearer ${CANARIES.secret}`, plainHttp: false }],
    });
  });
  afterAll(() => world?.close([MACHINE, WOKEN]));

  const create = (machineId: string, lease: number, source: MachineSource) =>
    machines.create(machineId, createMachineSchema.parse({ lease, source, memoryMiB: 512, egress: policy }));
  const sh = async (machineId: string, script: string, user: 'agent' | 'root' = 'agent') => {
    const input = execSchema.parse({ argv: ['bash', '-lc', script], user, timeoutMs: 240_000 });
    const { stdout, stderr } = await guests.exec(machineId, input);
    return stdout.trim() || stderr.trim();
  };
  const url = (at: string) => `https://${HOST}:${port}${at}`;

  it('are added to the requests of every kind of program, in place of what the guest sends', async () => {
    await create(MACHINE, 1, { kind: 'image' });
    const programs = [
      `curl -sS -m 120 -H 'authorization: Bearer mine' ${url('/v1/curl')}`,
      `node -e "fetch('${url('/v1/node')}').then((r) => r.text()).then((t) => console.log(t), (e) => console.log(e.cause ?? e))"`,
      `sudo curl -sS -m 120 ${url('/v1/sudo')}`,
    ];
    for (const program of programs) expect(await sh(MACHINE, program)).toMatch(/^hello from \/v1\/\w+$/);
    expect(seen).toEqual(programs.map(() => `Bearer ${CANARIES.secret}`));
    expect(await sh(MACHINE, `git -c http.followRedirects=false ls-remote ${url('/v1/repo.git')} 2>&1`)).not.toContain(
      'certificate',
    );
    expect(await sh(MACHINE, `curl -sS -m 120 ${url('/v2')}`)).toContain('not this path');
    // The grant goes to a service that is not there: the refusal must not name it.
    expect(await sh(MACHINE, 'curl -sS -m 120 http://git.warren.internal/x')).toContain('did not answer');
  });

  it('are nowhere in the machine, its snapshot or what hostd wrote, where the guest’s own words are', async () => {
    const [memory, disk] = [CONTROL.memory, CONTROL.disk].map((text) => text.split('-'));
    // Put together in the guest, and kept by a process that lives on.
    await sh(MACHINE, `setsid sh -c 'exec env KEPT=${memory![0]}-${memory![1]} sleep 98765' >/dev/null 2>&1 &`, 'root');
    await sh(MACHINE, `printf '%s-%s\\n' ${disk![0]} ${disk![1]} >/root/control; sync`, 'root');
    const texts = [...Object.values(CANARIES), ...Object.values(CONTROL)];
    const [consoleText, egressLog] = [await machines.console(MACHINE), JSON.stringify(guests.egressLog(MACHINE, 0))];
    await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });

    const found = new Map<string, string[]>();
    for (const file of await filesBelow(dataDir)) found.set(path.relative(dataDir, file), await textsIn(file, texts));
    const snapshot = [...found.keys()].filter((file) => file.startsWith(`snapshots/${SNAPSHOT}/`));
    expect(snapshot.length).toBeGreaterThanOrEqual(3);
    const filesWith = (text: string) => [...found].filter(([, all]) => all.includes(text)).map(([file]) => file);
    expect(filesWith(CONTROL.memory)).not.toEqual([]);
    expect(filesWith(CONTROL.disk)).not.toEqual([]);
    for (const canary of Object.values(CANARIES)) {
      expect(filesWith(canary)).toEqual([]);
      for (const text of [hostdLog, consoleText, egressLog]) expect(text).not.toContain(canary);
    }
    expect(egressLog).toContain('sec_1');
    // The scan reads what it says it reads.
    await writeFile(path.join(dataDir, 'planted'), CANARIES.secret);
    expect(await textsIn(path.join(dataDir, 'planted'), texts)).toEqual([CANARIES.secret]);
  });

  it('are added again after a wake, to a machine whose programs still trust this host', async () => {
    await create(WOKEN, 2, { kind: 'resume', snapshotId: SNAPSHOT });
    seen.length = 0;
    expect(await sh(WOKEN, `curl -sS -m 120 ${url('/v1/woken')}`)).toBe('hello from /v1/woken');
    expect(seen).toEqual([`Bearer ${CANARIES.secret}`]);
    await machines.remove(WOKEN, 2);
  });
});

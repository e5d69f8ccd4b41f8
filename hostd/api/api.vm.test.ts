import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import http, { type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import type { EgressPolicyInput } from '../contract/egress.ts';
import type { Exec, ExecResult, MachineView, SuspendResult } from '../contract/machines.ts';
import { CertificateAuthority } from '../egress/authority.ts';
import { createDial } from '../egress/dial.ts';
import { EgressJournal } from '../egress/journal.ts';
import { systemTrust } from '../egress/secure.ts';
import { ownServices } from '../egress/services.ts';
import { Guests } from '../guest/guest-side.ts';
import { ImageBuilds } from '../guest/image/image-builds.ts';
import { Machines } from '../machines/machines.ts';
import { openTestHost, whyNoVms } from '../machines/testing/vm-host.ts';
import { layoutOf } from '../storage/layout.ts';
import { prepareDataDir } from '../storage/volume.ts';
import { createApi } from './server.ts';

const TOKEN = 'a-token-of-the-tests';
const MACHINE = 'mch_apivmtest00001';
const WOKEN = 'mch_apivmtest00002';
const SNAPSHOT = 'snp_apivmtest00001';
const PATIENCE = { timeout: 60_000, interval: 200 };
const reason = await whyNoVms();

/** One real machine through the real API, from cold boot over a suspend to its end. The steps build on each other. */
describe.skipIf(reason !== null)(`API with a real machine${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let machines: Machines;
  let server: Server;
  let upstream: Server;
  let base: string;
  let egress: EgressPolicyInput;
  const cleanups: (() => unknown)[] = [];

  beforeAll(async () => {
    const host = await openTestHost();
    const dataDir = await mkdtemp(path.join(host.layout.dataDir, 'api-'));
    const layout = layoutOf(dataDir);
    await symlink(host.layout.images, layout.images);
    await prepareDataDir(layout);
    cleanups.push(() => rm(dataDir, { recursive: true, force: true }));
    cleanups.push(() => rm(layout.runDir, { recursive: true, force: true }));

    upstream = http.createServer((req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(`data: ${req.method} ${req.url} ${req.headers.authorization ?? 'nobody'}\n\n`);
      setTimeout(() => res.end('data: end\n\n'), 50);
    });
    const upstreamUrl = await listen(upstream);
    cleanups.push(() => upstream.close());
    egress = {
      services: [{ host: 'git.warren.internal', upstream: `${upstreamUrl}/git`, headers: { authorization: 'Bearer g' } }],
      allow: [],
    };

    const log = pino({ level: 'silent' });
    const journal = await EgressJournal.open(layout.egress, log);
    const guests = new Guests({
      dial: createDial(),
      journal,
      authority: await CertificateAuthority.open(layout),
      trust: systemTrust(),
      ownServices: ownServices({ npmUpstream: `${upstreamUrl}/registry` }),
      log,
    });
    const { driver, imageIds } = host;
    const facts = { acceleratorReason: 'test', isolationLacks: host.lacks, spares: 0, version: 'test' };
    machines = await Machines.open({ layout, driver, guest: guests, log, imageIds, ...facts });
    const images = new ImageBuilds({ layout, imageIds, log, onBuilt: () => {} });
    server = createApi({ machines, images, guests, token: TOKEN, log });
    base = await listen(server);
    cleanups.push(() => {
      machines.close();
      server.closeAllConnections();
      server.close();
    });
  });
  afterAll(async () => {
    for (const id of [MACHINE, WOKEN]) await machines.remove(id, 1_000).catch(() => {});
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  async function listen(which: Server): Promise<string> {
    which.listen(0, '127.0.0.1');
    await once(which, 'listening');
    return `http://127.0.0.1:${(which.address() as AddressInfo).port}`;
  }

  const headers = { authorization: `Bearer ${TOKEN}` };

  async function call<T>(method: string, url: string, body?: unknown): Promise<T> {
    const res = await fetch(base + url, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const reply = await res.json();
    if (!reply.ok) throw new Error(`${reply.error.code}: ${reply.error.message}`);
    return reply.value;
  }

  const run = (machineId: string, argv: string[], rest: Partial<Exec> = {}) =>
    call<ExecResult>('POST', `/v1/machines/${machineId}/exec`, { argv, ...rest });

  const put = async (machineId: string, file: string, text: string) => {
    const url = `${base}/v1/machines/${machineId}/file?path=${encodeURIComponent(file)}`;
    expect((await fetch(url, { method: 'PUT', headers, body: text })).status).toBe(200);
  };

  /** A terminal, what it showed so far, and a way to type. */
  async function attach(machineId: string) {
    const ws = new WebSocket(`${base.replace('http', 'ws')}/v1/machines/${machineId}/pty?name=vm&cwd=/tmp`, { headers });
    let shown = '';
    ws.on('message', (data: Buffer) => {
      shown += data.toString('utf8');
    });
    await once(ws, 'open');
    return {
      ws,
      shows: (text: string) => vi.waitFor(() => expect(shown).toContain(text), PATIENCE),
      type: (text: string) => ws.send(Buffer.from(text)),
    };
  }

  /** Follows a file into a text until the machine ends. */
  async function follow(machineId: string, file: string, offset: number) {
    const url = `${base}/v1/machines/${machineId}/tail?path=${encodeURIComponent(file)}&offset=${offset}`;
    const res = await fetch(url, { headers });
    const seen = { text: '' };
    const ended = (async () => {
      for await (const chunk of res.body!.pipeThrough(new TextDecoderStream())) seen.text += chunk;
    })();
    return { ended, shows: (text: string) => vi.waitFor(() => expect(seen.text).toBe(text), PATIENCE) };
  }

  it('boots and runs commands as both users', async () => {
    const view = await call<MachineView>('PUT', `/v1/machines/${MACHINE}`, {
      lease: 1,
      source: { kind: 'image' },
      memoryMiB: 512,
      egress,
    });
    expect(view.state).toBe('running');
    expect((await run(MACHINE, ['id', '-un'])).stdout).toBe('agent\n');
    expect((await run(MACHINE, ['id', '-un'], { user: 'root' })).stdout).toBe('root\n');
    const env = await run(MACHINE, ['sh', '-c', 'pwd; echo "$HOME $USER $A"; cat'], {
      cwd: '/workspace',
      env: { A: "it's" },
      stdin: 'typed',
    });
    expect(env.stdout).toBe("/workspace\n/home/agent agent it's\ntyped");
    expect(await run(MACHINE, ['sleep', '60'], { timeoutMs: 500 })).toMatchObject({ timedOut: true, exitCode: null });
  });

  it('loses no connection to a program that takes all memory', async () => {
    const served = () =>
      run(MACHINE, ['systemctl', 'show', '-p', 'MainPID', '--value', 'warren-ssh.service', 'warren-qga.service']);
    const before = (await served()).stdout;
    const greedy = `python3 -c "
a = []
while True: a.append(bytearray(1 << 22))"; echo "ended with $?"`;
    expect((await run(MACHINE, ['sh', '-c', greedy], { timeoutMs: 120_000 })).stdout).toBe('ended with 137\n');
    // systemd hears of it a moment later.
    await run(MACHINE, ['systemctl', 'is-system-running', '--wait'], { timeoutMs: 60_000 });
    expect((await served()).stdout).toBe(before);
  });

  it('reaches services with the credential added outside, streams them, and nothing else', async () => {
    const curl = (...args: string[]) => run(MACHINE, ['curl', '-sS', '-m', '30', ...args]);
    expect((await curl('-H', 'authorization: mine', 'http://git.warren.internal/org/repo.git?x')).stdout).toBe(
      'data: GET /git/org/repo.git?x Bearer g\n\ndata: end\n\n',
    );
    expect((await curl('http://npm.warren.internal/is-odd')).stdout).toContain('GET /registry/is-odd nobody');
    expect((await curl('-w', '%{http_code}', 'http://example.com/')).stdout).toMatch(/example\.com:80.*allow it.*403$/s);
    expect((await curl('https://example.com/')).stderr).toContain('403');
    const noProxy = await curl('--noproxy', '*', 'http://1.1.1.1/');
    expect(noProxy.exitCode).not.toBe(0);
    const log = await call<{ decision: string }[]>('GET', `/v1/machines/${MACHINE}/egress-log`);
    expect(log.map(({ decision }) => decision)).toEqual(['allow', 'allow', 'deny', 'deny']);
  });

  it('goes on over a suspend: same process, same terminal, same file offset, new policy', async () => {
    await run(MACHINE, ['mkfifo', '/tmp/in']);
    await put(MACHINE, '/tmp/agent.sh', 'exec 0<>/tmp/in; while read -r line; do echo "got $line" >>/tmp/out; done');
    const started = await run(MACHINE, ['sh', '-c', 'setsid sh /tmp/agent.sh >/dev/null 2>&1 & echo $!']);
    const agent = started.stdout.trim();
    const identity = async (id: string) =>
      (await run(id, ['sh', '-c', `cut -d" " -f22 /proc/${agent}/stat; cat /proc/sys/kernel/random/boot_id`])).stdout;
    const before = await identity(MACHINE);
    const say = (id: string, text: string) =>
      call('POST', `/v1/machines/${id}/write`, { path: '/tmp/in', dataBase64: btoa(`${text}\n`), mode: 'append' });

    await say(MACHINE, 'one');
    const first = await follow(MACHINE, '/tmp/out', 0);
    await first.shows('got one\n');
    const terminal = await attach(MACHINE);
    terminal.type('kept=$((40+2)); echo ready=$kept\r');
    await terminal.shows('ready=42');

    const { processGone } = await call<SuspendResult>('POST', `/v1/machines/${MACHINE}/suspend`, {
      lease: 1,
      snapshotId: SNAPSHOT,
    });
    expect(processGone).toBe(true);
    await first.ended;
    if (terminal.ws.readyState !== WebSocket.CLOSED) await once(terminal.ws, 'close');

    const view = await call<MachineView>('PUT', `/v1/machines/${WOKEN}`, {
      lease: 2,
      source: { kind: 'resume', snapshotId: SNAPSHOT },
      egress: { services: [], allow: [] },
    });
    expect(Object.keys(view.timingsMs)).toEqual(['qemu', 'loaded', 'running', 'guest']);
    expect(await identity(WOKEN)).toBe(before);
    const second = await follow(WOKEN, '/tmp/out', 'got one\n'.length);
    await say(WOKEN, 'two');
    await second.shows('got two\n');
    const again = await attach(WOKEN);
    again.type('echo still=$kept\r');
    await again.shows('still=42');
    again.ws.close();
    const denied = await run(WOKEN, [
      'curl',
      '-sS',
      '-m',
      '30',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      'http://git.warren.internal/',
    ]);
    expect(denied.stdout).toBe('403');
    await call('DELETE', `/v1/machines/${WOKEN}?lease=2`);
    await second.ended;
  });
});

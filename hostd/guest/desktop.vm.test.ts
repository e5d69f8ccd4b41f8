import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ExecResult, MachineSource, MachineView, SuspendResult } from '../contract/machines.ts';
import { HostdProcess } from '../machines/testing/hostd-process.ts';
import { whyNoVms } from '../machines/testing/vm-host.ts';
import { readFrame, shareOf } from './testing/rfb-client.ts';

/*
 * The desktop image for real: Chromium shows a page of the machine's own, the page is seen through VNC, and the same browser goes
 * on after a sleep. Opt-in, because the image is large and Chromium under emulation takes minutes:
 *
 *   npx node hostd/guest/image/build.ts desktop
 *   WARREN_TEST_DESKTOP=1 vitest run --project vm hostd/guest/desktop.vm.test.ts
 *
 * WARREN_TEST_DESKTOP may name a directory: screenshots are left there for people to look at.
 */
const asked = process.env.WARREN_TEST_DESKTOP;
const reason = asked ? await whyNoVms() : 'WARREN_TEST_DESKTOP is not set';
const MACHINE = 'mch_vmdesktop0001';
const BROWSER_MS_MAX = 20 * 60_000;
const GREEN = [18, 171, 52] as const;
const RED = [187, 34, 51] as const;
const SERVER = `require("http").createServer((req, res) => res.setHeader("content-type", "text/html").end(
  "<title>page " + req.url.slice(1) + "</title><body style=background:rgb(" + (req.url === "/green" ? "${GREEN}" : "${RED}") + ")><h1>" + req.url
)).listen(8000, "127.0.0.1")`;

describe.skipIf(reason !== null)(`the desktop image${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let hostd: HostdProcess;
  let machine: MachineView;
  const figures: Record<string, string> = {};

  const create = async (lease: number, source: MachineSource) => {
    const body = { lease, source, memoryMiB: 2048, vcpus: 2, egress: { services: [], allow: [] } };
    machine = await hostd.call<MachineView>('PUT', `machines/${MACHINE}`, body);
  };
  const run = async (argv: string[], timeoutMs = 60_000) => {
    const startedAt = performance.now();
    const result = await hostd.call<ExecResult>('POST', `machines/${MACHINE}/exec`, { argv, timeoutMs });
    return { ...result, seconds: ((performance.now() - startedAt) / 1000).toFixed(1) };
  };
  const frame = () => readFrame(hostd.webSocket(`machines/${MACHINE}/desktop?viewOnly=1`));
  const screenshot = async (name: string) => {
    const { exitCode, stderr, seconds } = await run(['warren-screenshot', `/tmp/${name}.png`], 120_000);
    expect([exitCode, stderr]).toEqual([0, '']);
    figures[`screenshot ${name}`] = `${seconds} s`;
    const { stdout } = await run(['base64', '-w0', `/tmp/${name}.png`]);
    const png = Buffer.from(stdout, 'base64');
    if (asked?.includes('/')) {
      await mkdir(asked, { recursive: true });
      await writeFile(path.join(asked, `${name}.png`), png);
    }
    return png;
  };
  const browserPid = () => hostd.shell(MACHINE, 'systemctl show -p MainPID --value warren-browser.service');

  beforeAll(async () => {
    hostd = await HostdProcess.make();
    await hostd.start();
    const startedAt = performance.now();
    await create(1, { kind: 'image', variant: 'desktop' });
    figures['boot to SSH'] = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  });
  afterAll(async () => {
    console.log(JSON.stringify({ accelerator: machine?.accelerator, ...figures }, null, 2));
    await hostd?.destroy();
  });

  it('has a screen that nothing outside the machine can reach but hostd', async () => {
    await vi.waitFor(async () => expect((await frame()).name).toContain('Warren'), { timeout: 180_000, interval: 1_000 });
    expect(await frame()).toMatchObject({ width: 1280, height: 800 });
    // Nothing of it listens on TCP; the socket is the agent's alone.
    const listening = await hostd.shell(MACHINE, 'ss -Hltn | awk \'{print $4}\' | grep -E ":(59|60)[0-9][0-9]$" || echo none');
    expect(listening).toBe('none');
    expect(await hostd.shell(MACHINE, 'stat -c "%U %a" /run/warren-desktop /run/warren-desktop/vnc.sock')).toBe(
      'agent 700\nagent 600',
    );
  });

  it('shows a page that the agent opens, on the screen and in a screenshot', { timeout: 2 * BROWSER_MS_MAX }, async () => {
    await hostd.shell(MACHINE, `systemd-run --quiet --uid=agent node -e '${SERVER}'`);
    const opened = await run(['warren-browser', 'open', 'http://localhost:8000/green'], BROWSER_MS_MAX);
    expect(opened).toMatchObject({ exitCode: 0, stdout: 'http://localhost:8000/green has loaded: page green\n' });
    figures['browser start and first page'] = `${opened.seconds} s`;
    await vi.waitFor(async () => expect(shareOf(await frame(), GREEN)).toBeGreaterThan(0.5), {
      timeout: 180_000,
      interval: 1_000,
    });
    const png = await screenshot('green');
    expect([png.subarray(1, 4).toString(), png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual(['PNG', 1280, 800]);
    const again = await run(['warren-browser', 'open', 'http://localhost:8000/red'], BROWSER_MS_MAX);
    figures['second page'] = `${again.seconds} s`;
    await vi.waitFor(async () => expect(shareOf(await frame(), RED)).toBeGreaterThan(0.5), { timeout: 180_000, interval: 1_000 });
    // Chromium's own sandbox is on: its renderers live in a user namespace of their own.
    const namespaces = await hostd.shell(
      MACHINE,
      'for p in $(pgrep -f "type=renderer"); do readlink /proc/$p/ns/user; done | grep -vc "$(readlink /proc/1/ns/user)"',
    );
    expect(Number(namespaces)).toBeGreaterThan(0);
    figures['memory in use'] = await hostd.shell(MACHINE, 'free -m | awk "/^Mem/ {print \\$3 \\" MiB\\"}"');
  });

  it('goes on after a sleep with the same browser and the same page', { timeout: BROWSER_MS_MAX }, async () => {
    const [pid, bootId] = [await browserPid(), machine.bootId];
    const asleep = await hostd.call<SuspendResult>('POST', `machines/${MACHINE}/suspend`, {
      lease: 1,
      snapshotId: 'snp_vmdesktop0001',
    });
    figures.suspend = `${Math.round(asleep.releasedMs)} ms`;
    await create(2, { kind: 'resume', snapshotId: 'snp_vmdesktop0001' });
    figures.resume = JSON.stringify(machine.timingsMs);
    expect(machine.bootId).toBe(bootId);
    expect(await browserPid()).toBe(pid);
    expect(shareOf(await frame(), RED)).toBeGreaterThan(0.5);
    const opened = await run(['warren-browser', 'open', 'http://localhost:8000/green'], BROWSER_MS_MAX);
    expect(opened.exitCode).toBe(0);
    figures['page after the wake'] = `${opened.seconds} s`;
    await vi.waitFor(async () => expect(shareOf(await frame(), GREEN)).toBeGreaterThan(0.5), {
      timeout: 180_000,
      interval: 1_000,
    });
    await screenshot('woken');
    expect(await browserPid()).toBe(pid);
  });
});

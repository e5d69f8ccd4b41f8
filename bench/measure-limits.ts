import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import path from 'node:path';
import { cpuArgument, QEMU } from '../hostd/hypervisor/qemu/platform.ts';
import { QmpClient } from '../hostd/hypervisor/qemu/qmp.ts';
import type { Limits } from './limits.ts';
import type { PlainSpec } from './peers/plain-qemu.ts';
import { median } from './stats.ts';

const COPY_BYTES = 256 * 1024 * 1024;
const ROUNDS = 5;
const RTT_ROUNDS = 500;

/** Measures what bounds the figures on this computer as it is now. Takes about five seconds. */
export async function measureLimits(runDir: string, platform: PlainSpec['platform']): Promise<Limits> {
  const memory = await measureMemory();
  const qemuStartMs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) qemuStartMs.push(await qemuStart(runDir, platform));
  return { ...memory, unixRttMs: await unixRtt(path.join(runDir, 'rtt.sock')), qemuStartMs: Math.min(...qemuStartMs) };
}

/** In a process of its own, so that the memory is fresh and ours is not full of it. */
async function measureMemory(): Promise<Pick<Limits, 'memcpyBytesPerSecond' | 'firstTouchBytesPerSecond'>> {
  const program = `
    const bytes = ${COPY_BYTES};
    const from = Buffer.alloc(bytes, 7), to = Buffer.alloc(bytes, 1);
    const best = (work) => Math.min(...Array.from({ length: ${ROUNDS} }, () => { const t = performance.now(); work(); return performance.now() - t; }));
    const copyMs = best(() => from.copy(to));
    const touchMs = best(() => { const fresh = Buffer.allocUnsafeSlow(bytes); from.copy(fresh); }) - copyMs;
    console.log(JSON.stringify({ copyMs, touchMs: Math.max(touchMs, copyMs / 10) }));`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await new Promise((resolve) => child.once('close', resolve));
  const { copyMs, touchMs } = JSON.parse(output) as { copyMs: number; touchMs: number };
  return {
    memcpyBytesPerSecond: (COPY_BYTES / copyMs) * 1000,
    firstTouchBytesPerSecond: (COPY_BYTES / touchMs) * 1000,
  };
}

/** To the greeting of a QEMU with a guest's devices and nothing to run. */
async function qemuStart(runDir: string, platform: PlainSpec['platform']): Promise<number> {
  const socket = path.join(runDir, 'start.sock');
  await rm(socket, { force: true });
  const { accelerator, machineType, cpuModel } = platform;
  const args = ['-nodefaults', '-display', 'none', '-machine', machineType, '-accel', accelerator, '-cpu', cpuArgument(cpuModel)];
  args.push('-m', '2048M', '-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci', '-S');
  args.push('-chardev', `socket,id=qmp,path=${socket},server=on,wait=off`, '-mon', 'chardev=qmp,mode=control');
  const startedAt = performance.now();
  const child = spawn(QEMU, args, { stdio: 'ignore' });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  for (;;) {
    const qmp = await QmpClient.connect(socket, 30_000).catch(() => null);
    if (qmp || child.exitCode !== null) {
      const tookMs = performance.now() - startedAt;
      qmp?.close();
      child.kill('SIGKILL');
      await gone;
      if (!qmp) throw new Error('QEMU does not start');
      return tookMs;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function unixRtt(socketPath: string): Promise<number> {
  await rm(socketPath, { force: true });
  const server = createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const client = createConnection(socketPath);
  await new Promise((resolve) => client.once('connect', resolve));
  const times: number[] = [];
  for (let round = 0; round < RTT_ROUNDS; round += 1) {
    const startedAt = performance.now();
    const echoed = new Promise((resolve) => client.once('data', resolve));
    client.write('x');
    await echoed;
    times.push(performance.now() - startedAt);
  }
  client.destroy();
  server.close();
  await rm(socketPath, { force: true });
  return median(times);
}

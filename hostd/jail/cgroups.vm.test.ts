import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostdProcess } from '../machines/testing/hostd-process.ts';
import { whyNoVms } from '../machines/testing/vm-host.ts';

/*
 * The code that limits machines, on a kernel whose cgroup v2 hierarchy has every controller: a guest's. Hosts on which the
 * tests run may have none; the guest's systemd always does. What is limited there is a shell instead of QEMU.
 */
const MACHINE = 'mch_cgroups0001';
const HOSTD = path.resolve(import.meta.dirname, '..');
const SOURCES = ['jail/argv.ts', 'jail/cgroup-files.ts', 'jail/cgroups.ts', 'jail/limits.ts', 'errors.ts', 'storage/files.ts'];
const PARENT = '/sys/fs/cgroup/delegated/warren';

/** Makes a cgroup as for a machine, with less memory and fewer processes, and leaves the chain that joins it in files. */
const PREPARE = `
  import { writeFile } from 'node:fs/promises';
  import { confine } from '/root/hostd/jail/argv.ts';
  import { Cgroups } from '/root/hostd/jail/cgroups.ts';
  import { cgroupLimits, runLimits } from '/root/hostd/jail/limits.ts';
  const size = { memoryMiB: 512, vcpus: 1, diskBytes: 2 ** 30, accelerator: 'kvm' };
  const cgroups = await Cgroups.open({ mount: '/sys/fs/cgroup', parent: '${PARENT}', prefix: 'key' });
  const limits = cgroupLimits(size, { device: process.argv[1], bytesPerSecond: 1000000 });
  const dir = await cgroups.make('mch_1', limits);
  for (const [file, value] of Object.entries({ 'memory.max': '67108864', 'pids.max': '20' })) await writeFile(dir + '/' + file, value);
  const chain = confine('/bin/sh', ['/root/attempt'], { limits: runLimits(size), cgroupDir: dir, jail: null, asRoot: true });
  const quoted = chain.map((word) => "'" + word.replaceAll("'", "'\\\\''") + "'").join(' ');
  await writeFile('/root/confined', 'exec ' + quoted + '\\n');
  console.log(JSON.stringify({ dir, controllers: cgroups.controllers, limits }));`;
const REMOVE = `
  import { Cgroups } from '/root/hostd/jail/cgroups.ts';
  const cgroups = await Cgroups.open({ mount: '/sys/fs/cgroup', parent: '${PARENT}', prefix: 'key' });
  await cgroups.remove('mch_1');`;
const reason = await whyNoVms();

describe.skipIf(reason !== null)(`cgroup v2 on a real kernel${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let hostd: HostdProcess;
  let made: { dir: string; controllers: string[]; limits: Record<string, string> };
  const shell = (script: string) => hostd.shell(MACHINE, script);
  const write = (file: string, text: string) =>
    hostd.call('POST', `machines/${MACHINE}/write`, {
      path: file,
      dataBase64: Buffer.from(text).toString('base64'),
      mode: 'replace',
      user: 'root',
    });
  const value = async (file: string) => (await shell(`cat ${made.dir}/${file}`)).trim();
  /** Runs a script in the cgroup; resolves to its exit code. */
  const attempt = async (script: string) => {
    await write('/root/attempt', script);
    return Number((await shell('sh /root/confined >/dev/null 2>&1; echo $?')).split('\n').at(-1));
  };

  beforeAll(async () => {
    hostd = await HostdProcess.make();
    await hostd.start();
    await hostd.call('PUT', `machines/${MACHINE}`, {
      ...{ lease: 1, source: { kind: 'image' }, memoryMiB: 768 },
      egress: { services: [], allow: [] },
    });
    await shell('mkdir -p /root/hostd/jail /root/hostd/storage; echo \'{"type":"module"}\' >/root/hostd/package.json');
    for (const file of SOURCES) await write(`/root/hostd/${file}`, await readFile(path.join(HOSTD, file), 'utf8'));
    await write('/root/hostd/prepare.ts', PREPARE.replace('process.argv[1]', 'process.argv[2]!'));
    await write('/root/hostd/remove.ts', REMOVE);
    const device = await shell('cat /sys/block/vda/dev');
    made = JSON.parse(await shell(`node --disable-warning=ExperimentalWarning /root/hostd/prepare.ts ${device}`));
  });
  afterAll(() => hostd?.destroy());

  it('has every limit as the kernel took it', async () => {
    expect(made.controllers).toEqual(['cpu', 'memory', 'io', 'pids']);
    for (const file of ['cpu.max', 'memory.oom.group']) expect(await value(file)).toBe(made.limits[file]);
    expect(await value('memory.swap.max').catch(() => '0')).toBe('0');
    expect(await value('io.max')).toContain('rbps=1000000 wbps=1000000');
  });

  it('lets what fits run, charged to it from its first program on', async () => {
    expect(await attempt(`grep -q key-mch_1 /proc/self/cgroup`)).toBe(0);
    expect(Number(await value('memory.peak').catch(() => '1'))).toBeGreaterThan(0);
  });

  it('ends what takes more memory', async () => {
    expect(await attempt('python3 -c "bytearray(40 * 2**20)"')).toBe(0);
    expect(await attempt('python3 -c "bytearray(100 * 2**20)"')).not.toBe(0);
    expect(await value('memory.events')).toMatch(/^oom_kill [1-9]/m);
  });

  it('lets no more processes start', async () => {
    const fork = (count: number) => `for i in $(seq ${count}); do sleep 5 & done; kill $(jobs -p); wait`;
    expect(await attempt(fork(10))).toBe(0);
    await attempt(fork(30));
    expect(await value('pids.events')).toMatch(/^max [1-9]/m);
  });

  it('holds back what computes more than its share', async () => {
    await shell(`echo '10000 100000' >${made.dir}/cpu.max`);
    await attempt('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done');
    expect(await value('cpu.stat')).toMatch(/^nr_throttled [1-9]/m);
  });

  it('is gone when it is removed', async () => {
    await shell('node --disable-warning=ExperimentalWarning /root/hostd/remove.ts');
    expect(await shell(`ls ${PARENT} | grep -c mch_1 || :`)).toBe('0');
  });
});

import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EgressPolicyInput, egressPolicySchema } from '../contract/egress.ts';
import { createMachineSchema, execSchema, type MachineSource, type MachineView } from '../contract/machines.ts';
import { loadHostEnv } from '../env.ts';
import { type MachinesAndInternet, openMachinesAndInternet } from '../machines/testing/machines-and-internet.ts';
import { whyNoVms } from '../machines/testing/vm-host.ts';
import { tinyRegistry } from './testing/tiny-registry.ts';

/*
 * The docker image for real: containers, networks, builds and pulls in a guest, a firewall of its own, apt, a sleep in the middle,
 * and what can be reached from inside a container. Opt-in, because all of it is slow under emulation:
 *
 *   npx node hostd/guest/image/build.ts docker
 *   WARREN_TEST_DOCKER=1 vitest run --project vm hostd/guest/docker.vm.test.ts
 */
const reason = process.env.WARREN_TEST_DOCKER ? await whyNoVms() : 'WARREN_TEST_DOCKER is not set';
const BASE = 'mch_vmdocker00001';
const MACHINE = 'mch_vmdocker00002';
const FORK = 'mch_vmdocker00003';
const SNAPSHOT = 'snp_vmdocker00001';
const REGISTRY = 'registry.example';
const MIRROR = 'mirror.example';
const STEP_MS_MAX = 30 * 60_000;
const REFUSED = 'Warren did not let this machine reach';
const MEMORY = `free -m | awk '/^Mem/ {print $3 " MiB in use"}'`;
/** An image of busybox, and curl with its libraries, from the machine's own files. */
const BOX = `mkdir -p box/usr/bin box/usr/lib64 box/usr/lib/x86_64-linux-gnu box/www
  ln -s usr/bin usr/lib usr/lib64 box
  cp /bin/busybox /usr/bin/curl box/bin && busybox --install -s box/bin
  cp $(ldd /usr/bin/curl | grep -o '/lib/[^ ]*') box/lib/x86_64-linux-gnu && cp /lib64/ld-linux-x86-64.so.2 box/lib64
  echo a page of a container >box/www/page && tar -C box -c . | docker import - box`;
/** Past the proxy, whatever the environment says. */
const DIRECT = "curl -sS -m 60 --noproxy '*'";
const PAGE = 'a page of the internet\n';

const registry = tinyRegistry('greeting', { name: 'greeting', text: 'hello from a registry\n' });
/** An empty package archive, and a page. */
const files = new Map([
  ['/page', PAGE],
  ['/Packages', ''],
]);

describe.skipIf(reason !== null)(`the docker image${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let world: MachinesAndInternet;
  let machine: MachineView;
  let bait: net.Server;
  const figures: Record<string, unknown> = {};
  const asked: string[] = [];
  /** What each connection to the bait said. */
  const hits: string[] = [];

  const policy = (...allow: EgressPolicyInput['allow']) => egressPolicySchema.parse({ services: [], allow });
  const create = async (machineId: string, lease: number, source: MachineSource, egress = policy()) => {
    const request = createMachineSchema.parse({ lease, source, memoryMiB: 2048, vcpus: 2, egress });
    return world.machines.create(machineId, request);
  };
  const exec = (script: string, user: 'agent' | 'root', machineId = MACHINE) =>
    world.guests.exec(machineId, execSchema.parse({ argv: ['sh', '-c', script], user, timeoutMs: STEP_MS_MAX }));
  /** What a command that must succeed printed. */
  const run = async (script: string, user: 'agent' | 'root' = 'agent', machineId = MACHINE) => {
    const { exitCode, stdout, stderr } = await exec(script, user, machineId);
    if (exitCode !== 0) throw new Error(`${script}\nended with ${exitCode}: ${stderr}${stdout}`);
    return stdout.trim();
  };
  const timed = async (name: string, script: string) => {
    const startedAt = performance.now();
    const output = await run(script);
    figures[name] = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
    return output;
  };
  /** Everything that a command that must fail printed. */
  const fails = async (script: string, user: 'agent' | 'root' = 'agent') => {
    const { exitCode, stdout, stderr } = await exec(script, user);
    expect([exitCode, script]).not.toEqual([0, script]);
    return `${stdout}${stderr}`;
  };

  beforeAll(async () => {
    world = await openMachinesAndInternet(
      {
        names: [REGISTRY, MIRROR],
        answer: (req, res) => {
          asked.push(`${req.method} ${req.headers.host} ${req.url}`);
          const file = files.get(req.url ?? '');
          if (file === undefined) return registry(req, res);
          res.end(file);
        },
      },
      { debianMirror: loadHostEnv().HOSTD_DEBIAN_MIRROR },
    );
    bait = net.createServer((socket) => {
      socket.on('error', () => {}).end('bait\n');
      hits.push(String(socket.remoteAddress));
    });
    bait.listen(0, '::');
    await once(bait, 'listening');
    for (const [variant, machineId] of [['base', BASE] as const, ['docker', MACHINE] as const]) {
      const startedAt = performance.now();
      machine = await create(machineId, 1, { kind: 'image', variant });
      figures[`${variant}: boot to SSH`] = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
      const { stdout } = await exec(
        `systemctl is-system-running --wait; systemd-analyze | head -n 1; ${MEMORY}`,
        'root',
        machineId,
      );
      figures[`${variant}: started`] = stdout.trim().split('\n');
      if (variant === 'base') await world.machines.remove(BASE, 1);
    }
  });
  afterAll(async () => {
    console.log(JSON.stringify({ accelerator: machine?.accelerator, ...figures }, null, 2));
    bait?.close();
    await world?.close([BASE, MACHINE, FORK]);
  });

  it('runs nothing of Docker until somebody asks', async () => {
    const units = 'docker.socket docker.service containerd.service warren-container-proxy.socket warren-container-proxy.service';
    expect((await exec(`systemctl is-active ${units}`, 'root')).stdout.trim().split('\n')).toEqual([
      ...['active', 'inactive', 'inactive', 'active', 'inactive'],
    ]);
  });

  it('runs a container for the agent, of an image made without any network', { timeout: STEP_MS_MAX }, async () => {
    expect(await timed('first use of Docker', 'docker version -f "{{.Server.Version}}"')).toMatch(/^\d+\./);
    figures['memory in use with dockerd'] = await run(MEMORY);
    await run(BOX);
    expect(await timed('a container from start to end', 'docker run --rm box sh -c "id -u; hostname"')).toMatch(
      /^0\n[0-9a-f]{12}$/,
    );
    // The kernel is the guest's own, and so is what a container's root may do to it.
    expect(await run('docker run --rm --privileged --pid host box readlink /proc/1/exe')).toContain('systemd');
  });

  it('holds a container to its memory', { timeout: STEP_MS_MAX }, async () => {
    expect(await run('docker run --rm --memory 32m box cat /sys/fs/cgroup/memory.max')).toBe(String(32 * 1024 ** 2));
    const fill = 'dd if=/dev/zero of=/dev/null bs=64M count=1';
    await run(`docker run --rm --memory 128m box ${fill}`);
    expect((await exec(`docker run --rm --memory 32m box ${fill}`, 'agent')).exitCode).toBe(137);
  });

  it('publishes a port and joins containers by name', { timeout: STEP_MS_MAX }, async () => {
    await run('docker network create pair');
    const count = 'i=0; while :; do i=$((i+1)); echo $i >/www/count; sleep 1; done';
    await run(`docker run -d --name web --network pair -p 127.0.0.1:8080:80 box sh -c 'httpd -p 80 -h /www; ${count}'`);
    expect(await run('curl -sS --retry 20 --retry-connrefused http://127.0.0.1:8080/page')).toBe('a page of a container');
    expect(await run(`docker run --rm --network pair box ${DIRECT} http://web/page`)).toBe('a page of a container');
    expect(await fails(`docker run --rm box ${DIRECT} http://web/page`)).toContain('Could not resolve host');
  });

  it('builds', { timeout: STEP_MS_MAX }, async () => {
    await run('mkdir -p made && printf \'FROM box\\nRUN echo built >/www/made\\nCMD ["cat", "/www/made"]\\n\' >made/Dockerfile');
    await timed('a build', 'docker build -t made made');
    expect(await run('docker run --rm made')).toBe('built');
  });

  it('pulls what the rules allow, through the proxy, and says what they refuse', { timeout: STEP_MS_MAX }, async () => {
    const image = `${REGISTRY}:${world.httpsPort}/greeting`;
    expect(await fails(`docker pull ${image}`)).toContain(`${REFUSED} ${REGISTRY}:${world.httpsPort}`);
    expect(asked).toEqual([]);
    const rule = { id: 'rul_pull', host: REGISTRY, ports: [world.httpsPort], mode: 'inspect' as const };
    await world.machines.setEgress(MACHINE, policy({ ...rule, methods: ['GET'], paths: ['/v2/**'] }));
    // dockerd has read its authorities already; one that starts after the rule knows this host's.
    await run('sudo systemctl restart docker && docker start web');
    await run(`docker pull ${image}`);
    expect(await run(`docker create --name greeting ${image} x >/dev/null && docker cp greeting:/greeting - | tar xO`)).toBe(
      'hello from a registry',
    );
    expect(asked).toContain(`HEAD ${REGISTRY}:${world.httpsPort} /v2/greeting/manifests/latest`);
    // A container knows this host's authority when it is given the machine's.
    const ask = `box curl -sS https://${REGISTRY}:${world.httpsPort}/v2/`;
    expect(await fails(`docker run --rm ${ask}`)).toContain('certificate');
    const trusting = '-v /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro';
    expect(await run(`docker run --rm ${trusting} ${ask}`)).toBe('{}');
    expect(await fails('docker pull hello-world')).toContain(`${REFUSED} registry-1.docker.io:443: the host is not on`);
    expect(world.guests.egressLog(MACHINE, 0)).toContainEqual(
      expect.objectContaining({ decision: 'allow', host: REGISTRY, rule: 'rul_pull', path: '/v2/greeting/manifests/latest' }),
    );
  });

  it('decides for containers as for the machine', { timeout: STEP_MS_MAX }, async () => {
    await world.machines.setEgress(MACHINE, policy({ id: 'rul_page', host: MIRROR, ports: [world.httpPort] }));
    const page = `http://${MIRROR}:${world.httpPort}/page`;
    for (const options of ['', '--network pair', '--network host', '--privileged --network host']) {
      expect(await run(`docker run --rm ${options} box curl -sS ${page}`)).toBe(PAGE.trim());
      for (const url of ['http://elsewhere.example/', `http://10.0.2.2:${portOf(bait)}/`, 'http://169.254.169.254/'])
        expect(await run(`docker run --rm ${options} box curl -sS ${url}`)).toContain(`${REFUSED} ${new URL(url).hostname}`);
    }
    await run(
      `printf 'FROM box\\nRUN curl -sS -o /www/page ${page}\\n' >made/Dockerfile && docker build -t made made && docker run --rm made cat /www/page`,
    );
  });

  it('lets no container reach anything outside', { timeout: STEP_MS_MAX }, async () => {
    const port = portOf(bait);
    const lan = Object.values(os.networkInterfaces())
      .flat()
      .find((one) => one && !one.internal && one.family === 'IPv4')?.address;
    // The host's loopback by its own name is the machine's here; 10.0.2.2 is the host in QEMU's user network.
    const targets = [lan ?? '127.0.0.1', '127.0.0.1', '10.0.2.2', '172.17.0.1'].map((address) => `${address} ${port}`);
    targets.push('169.254.169.254 80', '100.100.100.200 80', '1.1.1.1 443', '8.8.8.8 53');
    const script = `
      for target in ${targets.map((target) => `"${target}"`).join(' ')}; do echo "$target: $(nc -w 20 $target </dev/null 2>&1)"; done
      for address in ${lan} 1.1.1.1; do ping -c 1 -W 5 $address >/dev/null 2>&1 && echo an echo came back; done
      ${DIRECT} http://example.com/ 2>&1
      echo "control: $(nc -w 20 172.17.0.1 3128 </dev/null 2>&1)"`;
    for (const options of ['', '--network pair', '--network host', '--privileged --network host --pid host']) {
      const lines = (await run(`docker run --rm -i ${options} box sh <<'END'\n${script}\nEND`)).split('\n');
      // The same program says nothing of an address that does let it connect.
      expect(lines.pop()?.trim()).toBe('control:');
      expect(lines.pop()).toContain('Could not resolve host');
      expect(lines).toHaveLength(targets.length);
      for (const [at, line] of lines.entries())
        expect([options, line]).toEqual([
          options,
          expect.stringMatching(`^${targets[at]}: .*(unreachable|refused|No route to host)`),
        ]);
    }
    expect(await run('docker run --rm --privileged --network host box ip route get 1.1.1.1 2>&1 || true')).toMatch(/unreachable/);
    expect(hits).toEqual([]);
    // The same listener notices who does reach it.
    await once(net.connect(port, '127.0.0.1').resume(), 'close');
    expect(hits).toHaveLength(1);
  });

  it('lets root have a firewall of its own', { timeout: STEP_MS_MAX }, async () => {
    const get = 'curl -sS -m 60 http://127.0.0.1:8080/page';
    const rule = 'INPUT -i lo -p tcp --dport 8080 -j REJECT --reject-with tcp-reset';
    await run(get);
    await run(`iptables -I ${rule}`, 'root');
    expect(await fails(get)).toContain('Failed to connect');
    await run(`iptables -D ${rule}`, 'root');
    await run(get);
    const chain = 'add table inet own; add chain inet own in { type filter hook input priority -10; }';
    await run(`nft '${chain}; add rule inet own in tcp dport 8080 counter reject with tcp reset'`, 'root');
    expect(await fails(get)).toContain('Failed to connect');
    expect(await run('nft list table inet own', 'root')).toMatch(/counter packets [1-9]/);
    await run('nft delete table inet own', 'root');
    await run(get);
  });

  it('has apt, which says what is refused', { timeout: STEP_MS_MAX }, async () => {
    const source = `http://${MIRROR}:${world.httpPort}`;
    await run(`echo 'deb [trusted=yes] ${source} ./' >/root/own.list`, 'root');
    const update = (list: string) =>
      `apt-get update -o Dir::Etc::sourcelist=${list} -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0`;
    await world.machines.setEgress(MACHINE, policy());
    expect(await run(`${update('/root/own.list')} 2>&1 || true`, 'root')).toContain(
      `403  ${REFUSED} ${MIRROR}:${world.httpPort}`,
    );
    await world.machines.setEgress(MACHINE, policy({ id: 'rul_apt', host: MIRROR, ports: [world.httpPort] }));
    expect(await run(`${update('/root/own.list')} 2>&1`, 'root')).not.toMatch(/403|^[EW]:/m);
    // Debian's own packages need no rule.
    await run('sudo apt-get -q update && sudo apt-get -q install -y --no-install-recommends tree && tree --version');
  });

  describe('after a sleep', () => {
    const facts = (machineId = MACHINE) =>
      run(
        `p=$(docker inspect -f '{{.State.Pid}}' web); docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.RestartCount}}' web
         echo $p $(cut -d' ' -f22 /proc/$p/stat) $(systemctl show -p MainPID --value docker containerd)`,
        'agent',
        machineId,
      );
    const goesOn = async (machineId: string, count: number) => {
      expect(Number(await run('docker exec web cat /www/count', 'agent', machineId))).toBeGreaterThanOrEqual(count);
      expect(await run('curl -sS -m 120 http://127.0.0.1:8080/page', 'agent', machineId)).toBe('a page of a container');
      const another = `docker run --rm --network pair box ${DIRECT} http://web/page`;
      expect(await run(another, 'agent', machineId)).toBe('a page of a container');
    };
    let before: string;
    let count: number;

    it('goes on with the same containers', { timeout: STEP_MS_MAX }, async () => {
      before = await facts();
      count = Number(await run('docker exec web cat /www/count'));
      const { bootId } = machine;
      const { releasedMs } = await world.machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
      figures.suspend = `${Math.round(releasedMs)} ms`;
      machine = await create(MACHINE, 2, { kind: 'resume', snapshotId: SNAPSHOT });
      figures.resume = machine.timingsMs;
      expect(machine.bootId).toBe(bootId);
      expect(await facts()).toBe(before);
      await goesOn(MACHINE, count);
    });

    it('goes on in a fork as well', { timeout: STEP_MS_MAX }, async () => {
      await world.machines.remove(MACHINE, 2);
      await create(FORK, 1, { kind: 'fork', snapshotId: SNAPSHOT });
      expect(await facts(FORK)).toBe(before);
      await goesOn(FORK, count);
    });
  });
});

const portOf = (server: net.Server) => (server.address() as AddressInfo).port;

import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ExecResult, MachineSource, MachineView, SnapshotView } from '../../hostd/contract/machines.ts';
import { HostdProcess } from '../../hostd/machines/testing/hostd-process.ts';
import { openTestHost } from '../../hostd/machines/testing/vm-host.ts';
import { readIfExists } from '../../hostd/storage/files.ts';
import type { SnapshotFiles } from '../../hostd/storage/layout.ts';

/*
 * What the storage figures are measured on: memory and disks of machines that did an agent's kind of work, not zeros and not
 * random bytes. A template (this repository cloned, packages installed, its files read once) and sessions forked from it that
 * edit, commit, install and run tests, each differently. Making it takes an hour emulated, so it is kept and reused.
 */
const run = promisify(execFile);
const LEASE = 1;
const TEMPLATE = { memoryMiB: 2048, vcpus: 2, diskGiB: 4 };
/** What the sessions install, in turn: agents in one repository do similar things, not the same. */
const PACKAGES = ['express@5', 'lodash dayjs', 'react react-dom', 'fastify'] as const;

export type Corpus = {
  template: SnapshotFiles;
  /** Forked from the template, in the order made. */
  sessions: SnapshotFiles[];
};

const TEMPLATE_WORK = `set -e
git config --global user.email agent@warren.internal; git config --global user.name agent
git clone -q /tmp/repository.bundle /workspace/warren
cd /workspace && mkdir -p app && cd app && npm init -y >/dev/null && npm install --no-audit --no-fund zod yaml ws >/dev/null
cat >sum.test.mjs <<'T'
import { test } from 'node:test'; import assert from 'node:assert'; import { z } from 'zod';
test('sums', () => { for (let i = 0; i < 20000; i++) assert.equal(z.number().parse(i), i); });
T
node --test sum.test.mjs >/dev/null
find /usr /workspace -xdev -type f -print0 | xargs -0 cat >/dev/null
sync`;

const sessionWork = (index: number) => `set -e
cd /workspace/warren && git checkout -q -b task-${index}
for file in $(git ls-files '*.ts' | awk 'NR % 20 == ${index % 20}'); do sed -i '1i // task ${index}' "$file"; done
git commit -qam 'task ${index}: a line in each file'
git log --stat -p -n ${5 + index} >/tmp/log-${index}
cd ../app && npm install --no-audit --no-fund ${PACKAGES[index % PACKAGES.length]} >/dev/null
node --test sum.test.mjs >/tmp/test-${index}
python3 -m compileall -q -f /usr/lib/python3/dist-packages >/dev/null 2>&1 || true
grep -rn 'task ${index}' /workspace/warren | wc -l
sync`;

type Options = {
  /** Absolute, on the test host's file system. */
  dir: string;
  sessions: number;
  say: (line: string) => void;
  interrupted: AbortSignal;
};

/** Makes what is missing of the corpus below `dir` and returns where its files are. */
export async function ensureCorpus({ dir, sessions, say, interrupted }: Options): Promise<Corpus> {
  const { layout } = await openTestHost();
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await symlink(layout.images, path.join(dir, 'images')).catch(() => undefined);
  const hostd = await HostdProcess.over(dir);
  const idOf = (name: string) => `snp_corpus${name.padStart(8, '0')}`;
  const filesOf = (name: string) => hostd.layout.snapshot(idOf(name));
  const corpus = (): Corpus => ({
    template: filesOf('template'),
    sessions: Array.from({ length: sessions }, (_, index) => filesOf(`s${index}`)),
  });
  const names = ['template', ...Array.from({ length: sessions }, (_, index) => `s${index}`)];
  const made = await Promise.all(names.map((name) => readIfExists(filesOf(name).manifest)));
  if (made.every((manifest) => manifest !== null)) return corpus();
  await hostd.start();
  try {
    const known = new Set((await hostd.call<SnapshotView[]>('GET', 'snapshots')).map((one) => one.snapshotId));
    // What a run that was cut off left, half worked in.
    await removeMachines(hostd);
    const make = async (name: string, source: MachineSource, work: string, before?: (machineId: string) => Promise<void>) => {
      if (known.has(idOf(name))) return;
      const startedAt = performance.now();
      const machineId = `mch_corpus${name.padStart(8, '0')}`;
      const body = { lease: LEASE, source, ...TEMPLATE, hostname: `c${name}`, egress: { services: [], allow: [] } };
      await hostd.call<MachineView>('PUT', `machines/${machineId}`, body);
      await before?.(machineId);
      await runLong(hostd, machineId, work, interrupted);
      await hostd.call('POST', `machines/${machineId}/suspend`, { lease: LEASE, snapshotId: idOf(name) });
      say(`corpus: ${name} made in ${Math.round((performance.now() - startedAt) / 1000)} s`);
    };
    await make('template', { kind: 'image' }, TEMPLATE_WORK, async (machineId) => {
      const bundle = path.join(dir, 'repository.bundle');
      await run('git', ['bundle', 'create', bundle, 'HEAD'], { cwd: path.join(import.meta.dirname, '..', '..') });
      await sendFile(hostd, machineId, '/tmp/repository.bundle', await readFile(bundle));
      await rm(bundle);
    });
    const template = { kind: 'fork', snapshotId: idOf('template') } as const;
    for (let index = 0; index < sessions; index += 1) await make(`s${index}`, template, sessionWork(index));
    return corpus();
  } finally {
    await removeMachines(hostd).catch(() => undefined);
    await hostd.kill();
  }
}

async function removeMachines(hostd: HostdProcess): Promise<void> {
  for (const { machineId } of await hostd.call<MachineView[]>('GET', 'machines'))
    await hostd.call('DELETE', `machines/${machineId}?lease=${LEASE}`);
}

/** Work that may take longer than a request may. @throws with the end of what it printed when it fails */
async function runLong(hostd: HostdProcess, machineId: string, work: string, interrupted: AbortSignal): Promise<void> {
  const exec = async (script: string, stdin = '') => {
    const body = { argv: ['bash', '-lc', script], user: 'agent', stdin, timeoutMs: 120_000 };
    return (await hostd.call<ExecResult>('POST', `machines/${machineId}/exec`, body)).stdout.trim();
  };
  await exec(
    'cat >/tmp/work; rm -f /tmp/work.code; setsid bash -lc "bash -l /tmp/work; echo \\$? >/tmp/work.code" >/tmp/work.log 2>&1 </dev/null &',
    work,
  );
  for (;;) {
    await setTimeout(LOOK_MS, undefined, { signal: interrupted });
    const code = await exec('cat /tmp/work.code 2>/dev/null');
    if (code === '0') return;
    if (code !== '') throw new Error(`work in ${machineId} failed: ${await exec('tail -c 2000 /tmp/work.log')}`);
  }
}

const LOOK_MS = 3000;
const PART_BYTES = 8 * 1024 * 1024;

async function sendFile(hostd: HostdProcess, machineId: string, target: string, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    const dataBase64 = bytes.subarray(at, at + PART_BYTES).toString('base64');
    await hostd.call('POST', `machines/${machineId}/write`, { path: target, dataBase64, mode: at === 0 ? 'replace' : 'append' });
  }
}

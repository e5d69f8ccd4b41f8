import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { VmSpec } from '../driver.ts';
import { describeDriver } from '../driver-contract.ts';
import { FakeDriver, FakeHost } from './driver.ts';

describeDriver('fake', async () => {
  const host = new FakeHost();
  const workDir = await mkdtemp(path.join(os.tmpdir(), 'warren-fake-'));
  const remove = () => rm(workDir, { recursive: true });
  const specIn = async (dir: string, begin: 'boot' | 'restore'): Promise<VmSpec> => {
    const spec: VmSpec = {
      machineId: 'mch_contract00',
      memoryMiB: 1,
      vcpus: 1,
      memoryPath: path.join(dir, 'memory'),
      diskPath: path.join(dir, 'disk.raw'),
      logPath: path.join(dir, 'qemu.log'),
      socketDir: path.join(dir, 'sockets'),
      machineType: 'q35',
      cpuModel: 'EPYC',
      begin: begin === 'boot' ? { kind: 'boot', kernelPath: '/dev/null', initrdPath: '/dev/null' } : { kind: 'restore' },
    };
    if (begin === 'boot') {
      await writeFile(spec.memoryPath, '');
      await truncate(spec.memoryPath, spec.memoryMiB * 1024 * 1024);
      await writeFile(spec.diskPath, '');
    }
    return spec;
  };
  return { driver: new FakeDriver(host), restarted: () => new FakeDriver(host), specIn, workDir, remove };
});

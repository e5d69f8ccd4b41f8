import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe } from 'vitest';
import { openTestHost, whyNoVms } from '../../machines/testing/vm-host.ts';
import { cloneFile } from '../../storage/files.ts';
import type { VmSpec } from '../driver.ts';
import { describeDriver } from '../driver-contract.ts';
import { QemuDriver } from './driver.ts';

const reason = await whyNoVms();

describe.skipIf(reason !== null)(`QEMU${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  describeDriver('qemu', async () => {
    const { layout, driver, jails, imageIds } = await openTestHost();
    const { platform } = driver;
    const image = layout.image(imageIds.base);
    const workDir = await mkdtemp(path.join(layout.dataDir, 'contract-'));
    const remove = async () => {
      for (const dir of [workDir, path.join(layout.runDir, path.basename(workDir))])
        await rm(dir, { recursive: true, force: true });
    };
    const specIn = async (dir: string, begin: 'boot' | 'restore'): Promise<VmSpec> => {
      const spec: VmSpec = {
        machineId: 'mch_contract00',
        memoryMiB: 512,
        vcpus: 1,
        memoryPath: path.join(dir, 'memory'),
        diskPath: path.join(dir, 'disk.raw'),
        logPath: path.join(dir, 'qemu.log'),
        socketDir: path.join(layout.runDir, path.basename(workDir), path.basename(dir)),
        machineType: platform.machineType,
        cpuModel: platform.cpuModel,
        begin: begin === 'boot' ? { kind: 'boot', kernelPath: image.kernel, initrdPath: image.initrd } : { kind: 'restore' },
      };
      if (begin === 'boot') {
        await cloneFile(image.disk, spec.diskPath);
        await writeFile(spec.memoryPath, '');
        await truncate(spec.memoryPath, spec.memoryMiB * 1024 * 1024);
      }
      return spec;
    };
    return { driver, restarted: () => new QemuDriver(platform, jails), specIn, workDir, remove };
  });
});

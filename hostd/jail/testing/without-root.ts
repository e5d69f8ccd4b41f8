import { mkdir, readFile, readlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { QemuDriver } from '../../hypervisor/qemu/driver.ts';
import { currentPlatform } from '../../hypervisor/qemu/platform.ts';
import { layoutOf } from '../../storage/layout.ts';
import { makeDirs } from '../../storage/volume.ts';
import { openJails } from '../privileges.ts';
import { DEFAULT_UID_RANGE } from '../uids.ts';

/*
 * `node without-root.ts DIR`, run by the test as a user that is nobody: starts a QEMU as hostd would, and prints what is
 * missing of its jail and what /proc says of it.
 */
const layout = layoutOf(path.join(process.argv[2]!, 'hostd'));
await makeDirs(layout);
const { jails, lacks } = await openJails({ layout, uidRange: DEFAULT_UID_RANGE, cgroup: null, ioBytesPerSecond: null });
const driver = new QemuDriver(await currentPlatform('tcg'), jails);
const machineId = 'mch_nonroot001';
const { mappedMemory, vm: files, qemuLog } = layout.machine(machineId);
await mkdir(files.dir, { recursive: true });
for (const [file, bytes] of [
  [mappedMemory, 256 * 1024 ** 2],
  [files.disk, 1024 ** 2],
] as const) {
  await writeFile(file, '');
  await truncate(file, bytes);
}
const { machineType, cpuModel } = driver.platform;
const vm = await driver.start({
  ...{ machineId, memoryMiB: 256, vcpus: 1, memoryPath: mappedMemory, diskPath: files.disk, logPath: qemuLog },
  ...{ socketDir: layout.sockets(machineId).dir, machineType, cpuModel, begin: { kind: 'restore' } },
});
const { pid } = vm.process;
const namespaces = ['mnt', 'pid', 'ipc', 'uts', 'net', 'user'];
const own = await Promise.all(
  namespaces.map(async (name) => (await readlink(`/proc/${pid}/ns/${name}`)) !== (await readlink(`/proc/self/ns/${name}`))),
);
const status = await readFile(`/proc/${pid}/status`, 'utf8');
const found = { lacks, state: await vm.runState(), namespaces: namespaces.filter((_, index) => own[index]), status };
await vm.kill();
await driver.vacate({ machineId, socketDir: layout.sockets(machineId).dir, files: [files.disk] });
console.log(JSON.stringify(found));
process.exit(0);

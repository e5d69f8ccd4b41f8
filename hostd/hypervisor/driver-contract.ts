import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostdError } from '../errors.ts';
import { allocatedBytes, cloneFile, linkFile } from '../storage/files.ts';
import type { Driver, Saved, SaveTo, Vm, VmPlace, VmRef, VmSpec } from './driver.ts';

/*
 * What every driver promises, run against the fake and against QEMU. One guest is booted and handed from test to test, since
 * a boot is what costs; the tests of a driver therefore depend on their order.
 */
export type Subject = {
  driver: Driver;
  /** A second driver over the same host: hostd after a restart. */
  restarted: () => Driver;
  /** Spec of a machine with memory and disk in `dir`. */
  specIn: (dir: string, begin: 'boot' | 'restore') => Promise<VmSpec>;
  workDir: string;
  /** Removes what the subject made, work directory included. */
  remove: () => Promise<void>;
};

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
/** In memory, not on disk. */
const MARK = '/run/warren-contract';
const ANSWER_DEADLINE_MS = 120_000;
const MIB = 1024 * 1024;

export function describeDriver(name: string, makeSubject: () => Promise<Subject>): void {
  describe(`driver contract: ${name}`, () => {
    let subject: Subject;
    let spec: VmSpec;
    let vm: Vm;
    let bootId: string;
    let savedTo: SaveTo;
    let saved: Saved;
    let savedMemory: string;
    const started: Vm[] = [];
    const places: VmPlace[] = [];

    const start = async (at: VmSpec, driver = subject.driver) => {
      const made = await driver.start(at);
      started.push(made);
      places.push({ ...at, files: [at.diskPath] });
      return made;
    };
    const refOf = (of: Vm, at: VmSpec): VmRef => ({ ...at, process: of.process });
    const hashOf = async (file: string) => {
      const hash = createHash('sha256');
      for await (const chunk of createReadStream(file)) hash.update(chunk);
      return hash.digest('hex');
    };
    const saveIn = async (dirName: string, of: VmSpec): Promise<SaveTo> => {
      const dir = path.join(subject.workDir, dirName);
      await mkdir(dir);
      const to = { deviceState: path.join(dir, 'state'), memory: path.join(dir, 'memory'), memoryPath: of.memoryPath };
      await cloneFile(to.memoryPath, to.memory);
      return to;
    };
    /** A machine on a copy of the disk that starts from the saved memory itself. */
    const restoreSpec = async (dirName: string, disk = spec.diskPath) => {
      const dir = path.join(subject.workDir, dirName);
      await mkdir(dir, { recursive: true });
      const copy = await subject.specIn(dir, 'restore');
      await Promise.all([linkFile(savedTo.memory, copy.memoryPath), cloneFile(disk, copy.diskPath)]);
      return copy;
    };
    const restore = async (dirName: string, disk?: string) => {
      const at = await restoreSpec(dirName, disk);
      const restored = await start(at);
      await restored.load({ path: savedTo.deviceState, sha256: saved.sha256 });
      await restored.run();
      await restored.agent.ping(ANSWER_DEADLINE_MS);
      return { at, restored };
    };

    beforeAll(async () => {
      subject = await makeSubject();
      const dir = path.join(subject.workDir, 'first');
      await mkdir(dir, { recursive: true });
      spec = await subject.specIn(dir, 'boot');
    });

    afterAll(async () => {
      for (const made of started) await made.kill();
      for (const place of places) await subject.driver.vacate(place);
      await subject?.remove();
    });

    it('starts a machine whose CPUs stand still', async () => {
      vm = await start(spec);
      expect(await vm.runState()).toBe('paused');
      expect(await subject.driver.isAlive(vm.process)).toBe(true);
    });

    it('does not take a process with the same pid and another start time for the machine', async () => {
      expect(await subject.driver.isAlive({ ...vm.process, startTimeTicks: '1' })).toBe(false);
      expect(
        await subject.driver.adopt(refOf({ ...vm, process: { ...vm.process, startTimeTicks: '1' } } as Vm, spec)),
      ).toBeNull();
    });

    it('refuses to load a state into a machine that has one', async () => {
      await expect(vm.load({ path: spec.memoryPath, sha256: '' })).rejects.toMatchObject({
        code: 'conflict',
      } satisfies Partial<HostdError>);
    });

    it('runs it until the guest answers', async () => {
      await vm.run();
      await vm.agent.ping(ANSWER_DEADLINE_MS);
      expect(await vm.runState()).toBe('running');
      bootId = await vm.agent.readFile(BOOT_ID);
      expect(bootId.trim()).toMatch(/^[0-9a-f-]{36}$/);
    });

    it('tells the CPU time of a machine, and none of one that is not there', async () => {
      const { driver } = subject;
      expect(await driver.cpuMs(vm.process)).toBeGreaterThan(0);
      expect(await driver.cpuMs({ ...vm.process, startTimeTicks: '1' })).toBe(0);
    });

    it('runs programs in the guest', async () => {
      expect(await vm.agent.exec(['tee', MARK], { stdin: 'remember me' })).toMatchObject({ exitCode: 0 });
      expect(await vm.agent.exec(['cat', MARK])).toMatchObject({ exitCode: 0, stdout: 'remember me' });
      expect((await vm.agent.exec(['cat', '/no/such/file'])).exitCode).not.toBe(0);
    });

    it('writes files in the guest', async () => {
      await vm.agent.writeFile('/run/warren-written', 'one');
      await vm.agent.writeFile('/run/warren-written', 'two');
      expect(await vm.agent.readFile('/run/warren-written')).toBe('two');
    });

    it('sets the guest clock', async () => {
      await vm.agent.setClock(Date.now() + 3_600_000);
      await vm.agent.setClock(Date.now());
    });

    it('lets the machine run on when its state cannot be saved', async () => {
      const to = await saveIn('unwritable', spec);
      await expect(vm.save({ ...to, deviceState: path.join(subject.workDir, 'no-such-directory', 'state') })).rejects.toThrow();
      await expect(stat(to.memory)).rejects.toThrow();
      expect(await vm.runState()).toBe('running');
      expect((await vm.agent.exec(['cat', MARK])).stdout).toBe('remember me');
    });

    it('leaves a checkpoint behind and runs on, and the checkpoint is what it was at that moment', async () => {
      await vm.agent.writeFile(MARK, 'at the checkpoint');
      savedTo = await saveIn('checkpoint', spec);
      const disk = path.join(subject.workDir, 'checkpoint', 'disk');
      saved = await vm.checkpoint(savedTo, async () => {
        expect(await vm.runState()).toBe('paused');
        await cloneFile(spec.diskPath, disk);
      });
      expect(await vm.runState()).toBe('running');
      await vm.agent.writeFile(MARK, 'later');
      const { restored } = await restore('from-checkpoint', disk);
      expect(await restored.agent.readFile(MARK)).toBe('at the checkpoint');
      expect(await restored.agent.readFile(BOOT_ID)).toBe(bootId);
      await restored.kill();
      expect(await vm.agent.readFile(MARK)).toBe('later');
      await vm.agent.writeFile(MARK, 'remember me');
    });

    it('runs on when its checkpoint fails, and leaves nothing of it behind', async () => {
      const to = await saveIn('failed', spec);
      const failing = vm.checkpoint(to, () => Promise.reject(new Error('no disk')));
      await expect(failing).rejects.toThrow('no disk');
      expect(await readdir(path.join(subject.workDir, 'failed'))).toEqual([]);
      expect(await vm.runState()).toBe('running');
    });

    it('is taken up again by a driver that did not start it', async () => {
      vm.release();
      const adopted = await subject.restarted().adopt(refOf(vm, spec));
      expect(adopted).not.toBeNull();
      vm = adopted!;
      started.push(vm);
      expect(await vm.agent.readFile(BOOT_ID)).toBe(bootId);
    });

    it('saves its state and leaves the process table', async () => {
      savedTo = await saveIn('saved', spec);
      saved = await vm.save(savedTo);
      expect((await stat(savedTo.deviceState)).size).toBe(saved.bytes);
      expect((await stat(savedTo.memory)).size).toBe(spec.memoryMiB * MIB);
      expect(await vm.runState()).toBe('paused');
      expect(saved.changedBytes).toBeGreaterThan(0);
      // Nothing went to the file it started from, and no zeros are stored.
      expect(await allocatedBytes(spec.memoryPath)).toBe(0);
      expect(await allocatedBytes(savedTo.memory)).toBeLessThan(saved.changedBytes + 16 * MIB);
      savedMemory = await hashOf(savedTo.memory);
      await vm.kill();
      expect(await subject.driver.isAlive(vm.process)).toBe(false);
      expect(await subject.driver.adopt(refOf(vm, spec))).toBeNull();
    });

    it('refuses a state with one flipped bit', async () => {
      const damaged = path.join(subject.workDir, 'damaged.state');
      await copyFile(savedTo.deviceState, damaged);
      const bytes = await readFile(damaged);
      bytes[Math.floor(bytes.length / 2)]! ^= 1;
      await writeFile(damaged, bytes);
      const empty = await start(await restoreSpec('damaged'));
      await expect(empty.load({ path: damaged, sha256: saved.sha256 })).rejects.toMatchObject({ code: 'incompatible' });
      await expect(empty.run()).rejects.toMatchObject({ code: 'conflict' });
      await empty.kill();
    });

    it('goes on where it was from the saved state', async () => {
      const at = await restoreSpec('second');
      const again = await start(at);
      expect(await again.runState()).toBe('empty');
      await again.load({ path: savedTo.deviceState, sha256: saved.sha256 });
      expect(await again.runState()).toBe('paused');
      await again.run();
      await again.agent.ping(ANSWER_DEADLINE_MS);
      expect(await again.agent.readFile(BOOT_ID)).toBe(bootId);
      expect((await again.agent.exec(['cat', MARK])).stdout).toBe('remember me');
      await again.kill();
    });

    it('keeps apart what two machines of one memory write, and the memory as it was', async () => {
      const [one, other] = [await restore('one'), await restore('other')];
      await one.restored.agent.writeFile(MARK, 'mine');
      await other.restored.agent.writeFile(MARK, 'theirs');
      expect(await one.restored.agent.readFile(MARK)).toBe('mine');
      const to = await saveIn('saved-one', one.at);
      const second = await one.restored.save(to);
      // Only what this machine changed is new.
      expect(second.changedBytes).toBeGreaterThan(0);
      expect(second.changedBytes).toBeLessThanOrEqual(saved.changedBytes);
      await Promise.all([one.restored.kill(), other.restored.kill()]);
      expect(await hashOf(savedTo.memory)).toBe(savedMemory);
      [spec, savedTo, saved] = [one.at, to, second];
      const { at, restored } = await restore('third');
      expect(await restored.agent.readFile(MARK)).toBe('mine');
      expect(await restored.agent.readFile(BOOT_ID)).toBe(bootId);
      [spec, vm] = [at, restored];
    });

    it('makes a machine of a process that waited for one', async () => {
      await vm.agent.writeFile(MARK, 'before');
      const to = await saveIn('saved-two', spec);
      const second = await vm.save(to);
      await vm.kill();
      await subject.driver.vacate({ ...spec, files: [spec.diskPath] });
      [savedTo, saved] = [to, second];
      const at = await restoreSpec('spared');
      const { size: diskBytes } = await stat(at.diskPath);
      const dir = path.join(subject.workDir, 'spare');
      const spare = await subject.driver.makeSpare({ ...at, spareId: 'spr_contract', dir, diskBytes, logPath: `${dir}.log` });
      expect(await subject.driver.isAlive(spare.process)).toBe(true);
      const made = await subject.driver.start(at, spare);
      started.push(made);
      places.push({ ...at, files: [at.diskPath] });
      expect(made.process).toEqual(spare.process);
      expect(await made.runState()).toBe('empty');
      await made.load({ path: savedTo.deviceState, sha256: saved.sha256 });
      await made.run();
      await made.agent.ping(ANSWER_DEADLINE_MS);
      expect(await made.agent.readFile(BOOT_ID)).toBe(bootId);
      expect(await made.agent.readFile(MARK)).toBe('before');
      // What a spare became is saved like any other machine.
      expect((await made.save(await saveIn('saved-three', at))).changedBytes).toBeGreaterThan(0);
      await made.run();
      [spec, vm] = [at, made];
    });

    it('ends a process that waited in vain', async () => {
      const at = await restoreSpec('in-vain');
      const dir = path.join(subject.workDir, 'vain');
      const spare = await subject.driver.makeSpare({ ...at, spareId: 'spr_vain', dir, diskBytes: 1, logPath: `${dir}.log` });
      await spare.discard();
      expect(await subject.driver.isAlive(spare.process)).toBe(false);
      // One that died while it waited is told as what it is, not made a machine of.
      await expect(subject.driver.start(at, spare)).rejects.toMatchObject({ code: 'internal' });
      await subject.driver.vacate({ ...at, files: [at.diskPath] });
    });

    it('tells when the process ends by itself', async () => {
      await subject.driver.killUnrecorded(spec.socketDir);
      expect((await vm.exited).reason).not.toBe('');
      expect(await vm.runState()).toBe('ended');
      await vm.kill();
    });

    it('says why a machine cannot be started', async () => {
      const dir = path.join(subject.workDir, 'broken');
      await mkdir(dir, { recursive: true });
      const broken = await subject.specIn(dir, 'restore');
      await rm(broken.diskPath, { force: true });
      await expect(start(broken)).rejects.toMatchObject({ code: expect.stringMatching(/internal|missing_dependency/) });
    });
  });
}

import { copyFile, mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostdError } from '../errors.ts';
import { cloneFile } from '../storage/files.ts';
import type { Driver, Vm, VmPlace, VmRef, VmSpec } from './driver.ts';

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

export function describeDriver(name: string, makeSubject: () => Promise<Subject>): void {
  describe(`driver contract: ${name}`, () => {
    let subject: Subject;
    let spec: VmSpec;
    let vm: Vm;
    let bootId: string;
    let savedState: string;
    let saved: { sha256: string; bytes: number };
    const started: Vm[] = [];
    const places: VmPlace[] = [];

    const start = async (at: VmSpec, driver = subject.driver) => {
      const made = await driver.start(at);
      started.push(made);
      places.push({ ...at, files: [at.memoryPath, at.diskPath] });
      return made;
    };
    const refOf = (of: Vm, at: VmSpec): VmRef => ({ ...at, process: of.process });
    /** A machine made of copies of the saved files. */
    const restoreSpec = async (dirName: string) => {
      const dir = path.join(subject.workDir, dirName);
      await mkdir(dir, { recursive: true });
      const copy = await subject.specIn(dir, 'restore');
      await Promise.all([cloneFile(spec.memoryPath, copy.memoryPath), cloneFile(spec.diskPath, copy.diskPath)]);
      return copy;
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
      await expect(vm.save(path.join(subject.workDir, 'no-such-directory', 'device.state'))).rejects.toThrow();
      expect(await vm.runState()).toBe('running');
      expect((await vm.agent.exec(['cat', MARK])).stdout).toBe('remember me');
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
      savedState = path.join(path.dirname(spec.memoryPath), 'device.state');
      saved = await vm.save(savedState);
      expect((await stat(savedState)).size).toBe(saved.bytes);
      expect(await vm.runState()).toBe('paused');
      await vm.kill();
      expect(await subject.driver.isAlive(vm.process)).toBe(false);
      expect(await subject.driver.adopt(refOf(vm, spec))).toBeNull();
    });

    it('refuses a state with one flipped bit', async () => {
      const damaged = path.join(subject.workDir, 'damaged.state');
      await copyFile(savedState, damaged);
      const bytes = await readFile(damaged);
      bytes[Math.floor(bytes.length / 2)]! ^= 1;
      await writeFile(damaged, bytes);
      const empty = await start(await restoreSpec('damaged'));
      await expect(empty.load({ path: damaged, sha256: saved.sha256 })).rejects.toMatchObject({ code: 'incompatible' });
      await expect(empty.run()).rejects.toMatchObject({ code: 'conflict' });
      await empty.kill();
    });

    it('goes on where it was from the saved state', async () => {
      spec = await restoreSpec('second');
      const again = await start(spec);
      expect(await again.runState()).toBe('empty');
      await again.load({ path: savedState, sha256: saved.sha256 });
      expect(await again.runState()).toBe('paused');
      await again.run();
      await again.agent.ping(ANSWER_DEADLINE_MS);
      expect(await again.agent.readFile(BOOT_ID)).toBe(bootId);
      expect((await again.agent.exec(['cat', MARK])).stdout).toBe('remember me');
      vm = again;
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
      await (await open(broken.memoryPath, 'a')).close();
      await expect(start(broken)).rejects.toMatchObject({ code: expect.stringMatching(/internal|missing_dependency/) });
    });
  });
}

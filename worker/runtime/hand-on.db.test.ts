import { describe, expect, it } from 'vitest';
import { newId } from '../../server/ids.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { jobsOf } from '../../server/testing/fixtures.ts';
import { workerRig } from '../testing/rig.ts';
import { handOn } from './hand-on.ts';

const test = openTestDatabase();
const { rig, aWorker } = workerRig(test);
const aCheck = () => ({ orgId: rig.org.orgId, checkId: newId('check') });
const waiting = async (checkId: string) => (await jobsOf(test.systemDb, checkId)).map(({ name, state }) => `${name} ${state}`);

describe('a check or build of a worker that ends', () => {
  it('is handed on: its job waits anew, whatever still runs', async () => {
    const worker = aWorker();
    const check = aCheck();
    const never = new Promise<void>(() => {});
    const handing = handOn(worker.deps, 'run-check', check, never);
    await worker.kill();
    await handing;
    expect(await waiting(check.checkId)).toEqual(['run-check created']);
  });

  it('is handed on as well when the end itself broke it', async () => {
    const worker = aWorker();
    const check = aCheck();
    await worker.kill();
    await handOn(worker.deps, 'run-check', check, Promise.reject(new Error('cut short')));
    expect(await waiting(check.checkId)).toEqual(['run-check created']);
  });
});

describe('a check or build of a worker that goes on', () => {
  it('ends as it ends', async () => {
    const { deps } = aWorker();
    const check = aCheck();
    await handOn(deps, 'run-check', check, Promise.resolve());
    await expect(handOn(deps, 'run-check', check, Promise.reject(new Error('no host')))).rejects.toThrow('no host');
    expect(await waiting(check.checkId)).toEqual([]);
  });
});

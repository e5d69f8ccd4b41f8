import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadHostEnv } from '../hostd/env.ts';
import { whyNoVms } from '../hostd/machines/testing/vm-host.ts';
import { runMachines } from './machines.ts';
import { readOptions } from './options.ts';

/* That the bench works, in one round over one small guest: what it finds there is nothing to claim. */
const reason = await whyNoVms();

describe.skipIf(reason !== null)(`the bench${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'warren-bench-test-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it('wakes a real guest, takes nothing but its proof for an answer, and finds it whole', async () => {
    const options = readOptions(['machines', '--tiny', '--pairs', '1', '--cycles', '1', '--only', 'resume,soak', '--peers', '']);
    const dirs = { baseDir: loadHostEnv().HOSTD_DATA_DIR, logsDir: dir, resultsDir: dir };
    expect(await runMachines(options, dirs)).toBe(0);
  });
});

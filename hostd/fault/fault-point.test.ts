import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { armFault, FAULT_ACTIONS, FAULT_POINTS, faultPoint, parseFault } from './fault-point.ts';

afterEach(() => armFault(null));

describe('a fault point', () => {
  it('does nothing until it is armed, and strikes once', async () => {
    await faultPoint('suspend.recorded');
    armFault({ point: 'suspend.recorded', action: 'EIO' });
    await faultPoint('suspend.renamed');
    await expect(faultPoint('suspend.recorded')).rejects.toMatchObject({ code: 'EIO' });
    await faultPoint('suspend.recorded');
  });

  it('that is held goes on at the signal', async () => {
    armFault({ point: 'create.running', action: 'hold' });
    const held = faultPoint('create.running');
    process.emit('SIGUSR2');
    await held;
  });

  it('is passed in one place each, and none is named that is not passed', async () => {
    const hostd = path.resolve(import.meta.dirname, '..');
    const files = (await readdir(hostd, { recursive: true })).filter((name) => /(?<!\.test)\.ts$/.test(name));
    const sources = await Promise.all(files.map((name) => readFile(path.join(hostd, name), 'utf8')));
    const passed = sources.flatMap((text) => [...text.matchAll(/faultPoint\('([\w.]+)'\)/g)].map((match) => match[1]!));
    expect(passed.sort()).toEqual([...FAULT_POINTS].sort());
  });

  it('is named in the environment exactly', () => {
    for (const point of FAULT_POINTS) {
      for (const action of FAULT_ACTIONS) expect(parseFault(`${point}=${action}`)).toEqual({ point, action });
    }
    for (const text of ['', 'suspend.recorded', 'suspend.recorded=', 'suspend=kill', 'suspend.recorded=KILL'])
      expect(parseFault(text)).toBeNull();
  });
});

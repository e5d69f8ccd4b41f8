import path from 'node:path';
import { execInGuest } from '../demo/observe.ts';
import { postmasterPid } from '../postgres.ts';
import { partPid } from '../processes.ts';
import type { Settings } from '../settings.ts';
import { inTurn } from './in-turn.ts';

const PARTS = ['worker', 'hostd', 'web'] as const;

const postgresPid = ({ dataDir }: Settings) => postmasterPid(path.join(dataDir, 'postgres'));

function kill(...pids: number[]): string {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  return `killed ${pids.join(', ')}`;
}

const killPart = (name: (typeof PARTS)[number]) =>
  inTurn({ harm: async ({ settings }) => kill(await partPid(settings.runDir, name)), outcome: 'kept' });

/** Processes that die, or hang. */
export const KILLED = {
  worker: killPart('worker'),
  hostd: killPart('hostd'),
  web: killPart('web'),
  postgres: inTurn({ harm: async ({ settings }) => kill(await postgresPid(settings)), outcome: 'kept' }),
  everything: inTurn({
    harm: async ({ settings }) => {
      const parts = await Promise.all(PARTS.map((name) => partPid(settings.runDir, name)));
      return kill(...parts, await postgresPid(settings));
    },
    outcome: 'kept',
  }),
  qemu: inTurn({ harm: async ({ before }) => kill(before.qemu.pid), outcome: 'said' }),
  agent: inTurn({
    // Noticed after WARREN_AGENT_SILENCE_MS: an installation with the default of ten minutes outlasts this program's patience.
    harm: async ({ hostd, before }) => {
      await execInGuest(hostd, before.machineId, `kill -STOP ${before.agent.pid} $(pgrep -P ${before.agent.pid})`);
      return `stopped the agent, process ${before.agent.pid} in the machine`;
    },
    outcome: 'said',
  }),
};

import type { Clock } from '../server/clock.ts';
import type { Db, SystemDb } from '../server/db.ts';
import type { HostDirectory } from '../server/hosts/host-directory.ts';
import type { Logger } from '../server/logger.ts';
import type { Keyring } from '../server/secrets/keyring.ts';
import type { AgentDefinition } from './agents/agent.ts';
import type { SessionSignals } from './runtime/session-signals.ts';

/** How long the worker waits for what. Tests shorten these; each is in milliseconds. */
export type Patience = {
  /** A turn in which the agent says nothing for this long is cancelled. */
  agentSilenceMs: number;
  /** How long a cancelled agent may take to end its turn. */
  cancelGraceMs: number;
  /** How long `initialize` and `session/new` may take; emulated machines are slow. */
  agentReplyMs: number;
  /** Silence after which the agent's process is looked for. */
  agentProbeMs: number;
  /** Pause before a host or stream that failed is tried again. */
  retryMs: number;
  /** Pause between looks at something that is being built elsewhere. */
  pollMs: number;
};

export const PATIENCE: Patience = {
  agentSilenceMs: 10 * 60_000,
  cancelGraceMs: 30_000,
  agentReplyMs: 5 * 60_000,
  agentProbeMs: 15_000,
  retryMs: 1000,
  pollMs: 2000,
};

export type WorkerDeps = {
  db: Db;
  systemDb: SystemDb;
  hosts: HostDirectory;
  signals: SessionSignals;
  clock: Clock;
  /** When this process was started. */
  startedAt: Date;
  log: Logger;
  agent: AgentDefinition;
  forgeDir: string;
  grantSecret: string;
  /** Opens organizations' secrets for the hosts that run their machines. */
  keyring: Keyring;
  /** What orgs' keys for the object store are derived from: the current one, then former ones. Empty: nothing is copied. */
  storeSecrets: readonly string[];
  /** Where hostd reaches git and models on behalf of machines, such as `http://127.0.0.1:7401`. */
  internalUrl: string;
  patience: Patience;
  /** Aborted when this process is to end: drivers stop where they are and another takes over. */
  shutdown: AbortSignal;
};

import type { World } from './world.ts';

/*
 * The vocabulary of the escape matrix. An attempt is something that root in a machine, or a hostile guest's programs, try
 * against what is outside. Attempts are data; what "got through" means is decided on the host, by what the bait saw
 * (world.ts), never by what the guest says of itself.
 */

/** What a machine has been through when it makes its attempts. */
export const PHASES = ['booted', 'resumed', 'forked'] as const;
export type Phase = (typeof PHASES)[number];

/**
 * A probe runs in the guest's `probe.py`. `{token}` in any text becomes a word of this very try, by which the bait knows it;
 * the other names in braces are those of `World.words`.
 */
export type Probe =
  /** Bytes sent to the machine's own proxy address; more entries follow after the reply to the one before. */
  | { kind: 'proxy'; send: readonly string[] }
  | { kind: 'tcp'; host: string; port: string; send?: string }
  | { kind: 'udp'; host: string; port: string; send?: string }
  /** A shell script as root, which says `tried` on a line of its own once the attempt was really made. */
  | { kind: 'sh'; script: string }
  /** Python statements; an OSError is an answer, anything else means that it was not tried. They call `say(text)`. */
  | { kind: 'py'; code: string };

export type Reply = {
  /** False when the tool was missing or the probe ended before it tried. */
  tried: boolean;
  /** What came back, one character per byte. */
  text: string;
};

/** A reason why it got through; null when it did not. */
export type Through = string | null;

export type ProbeAttempt = {
  name: string;
  probe: Probe;
  /** More signs of success than those that count for every attempt (see `World.seen`). */
  through?: (reply: Reply, world: World, token: string) => Through;
  /** A reply of success is what this attempt should get: only the bait decides. */
  answered?: boolean;
};

export type HostAttempt = {
  name: string;
  /** Runs while no other does: what it measures, or breaks on purpose, must be its own. */
  alone?: boolean;
  /** Drives hostd's own API against a hostile machine. */
  run: (world: World) => Promise<{ tried: boolean; through: Through; note?: string }>;
};

export type Attempt = ProbeAttempt | HostAttempt;

export type Category = {
  name: string;
  /** For the table in docs/security.md. */
  about: string;
  attempts: readonly Attempt[];
  /** The same detectors at work on something that is allowed: each must be seen to get through. */
  controls: readonly Attempt[];
};

export type Outcome = {
  category: string;
  name: string;
  phase: Phase | 'host';
  control: boolean;
  verdict: 'held' | 'through' | 'not tried';
  note: string;
};

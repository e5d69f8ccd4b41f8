import type { Category } from './attempt.ts';
import { channels } from './attempts/channels.ts';
import { devices } from './attempts/devices.ts';
import { ends } from './attempts/ends.ts';
import { files } from './attempts/files.ts';
import { floods, resources } from './attempts/floods.ts';
import { inside } from './attempts/inside.ts';
import { network } from './attempts/network.ts';
import { addresses, requests, tunnels } from './attempts/proxy.ts';
import { services } from './attempts/services.ts';
import { snapshots } from './attempts/snapshots.ts';

/** Made by the attacking machine in every phase: freshly booted, resumed, forked. */
export const FROM_INSIDE: readonly Category[] = [
  network,
  addresses,
  tunnels,
  requests,
  services,
  devices,
  files,
  inside,
  floods,
  resources,
  channels,
];

/** Each in a fork of its own, since none survives it. */
export const IN_SPARES: readonly Category[] = [ends];

/** Between a suspend and a resume, with a hand on the host's files. */
export const ON_THE_HOST: readonly Category[] = [snapshots];

export const ALL: readonly Category[] = [...FROM_INSIDE, ...IN_SPARES, ...ON_THE_HOST];

import type { GuestChannel } from '../guest/channel.ts';

/** What a websocket into a machine works with: the way in, and how to say that somebody is doing something. */
export type GuestSession = { channel: GuestChannel; touch: () => void };

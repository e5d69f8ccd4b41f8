'use client';
import RFB from '@novnc/novnc';
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react';
import { useRealtime } from '../realtime/realtime-provider.tsx';
import type { LiveState } from '../session/live-view.tsx';
import { SocketChannel } from './socket-channel.ts';

type Options = { orgSlug: string; sessionId: string; viewOnly: boolean; visible: boolean };

/** The machine's screen in `host` for as long as it is looked at; unseen it costs the machine nothing. */
export function useDesktop(host: RefObject<HTMLDivElement | null>, { orgSlug, sessionId, viewOnly, visible }: Options) {
  const { socket, connection } = useRealtime();
  const [state, setState] = useState<LiveState>({ kind: 'opening' });
  const [attempt, setAttempt] = useState(0);
  const screen = useRef<RFB | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt opens it again
  useEffect(() => {
    if (!host.current || !socket || connection !== 'live' || !visible) return;
    setState({ kind: 'opening' });
    let isOver = false;
    const channel = new SocketChannel(socket, { orgSlug, sessionId });
    const rfb = new RFB(host.current, channel, { shared: true });
    // noVNC has the channel's `onclose`; the reason is only there.
    const closing = channel.onclose;
    channel.onclose = (event) => {
      if (!isOver) setState({ kind: 'ended', message: event.reason || 'The desktop was closed.' });
      closing?.(event);
    };
    rfb.viewOnly = viewOnly;
    rfb.scaleViewport = true;
    rfb.background = 'transparent';
    rfb.addEventListener('connect', () => setState({ kind: 'open' }));
    screen.current = rfb;
    return () => {
      isOver = true;
      screen.current = null;
      rfb.disconnect();
      channel.close();
    };
  }, [host, socket, connection, orgSlug, sessionId, viewOnly, visible, attempt]);

  const reopen = useCallback(() => setAttempt((count) => count + 1), []);
  const focus = useCallback(() => screen.current?.focus(), []);
  return { state, reopen, focus };
}

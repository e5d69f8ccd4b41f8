'use client';
import { FitAddon } from '@xterm/addon-fit';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react';
import { useRealtime } from '../realtime/realtime-provider.tsx';
import type { LiveState } from '../session/live-view.tsx';
import { connectTerminal } from './connect-terminal.ts';
import { TERMINAL_THEMES } from './themes.ts';

type Options = { orgSlug: string; sessionId: string; visible: boolean; isDark: boolean };

/** A screen in `host`, joined to a terminal in the machine for as long as the socket lives; joined again after it was lost. */
export function useTerminal(host: RefObject<HTMLDivElement | null>, { orgSlug, sessionId, visible, isDark }: Options) {
  const { socket, connection } = useRealtime();
  const [state, setState] = useState<LiveState>({ kind: 'opening' });
  const [attempt, setAttempt] = useState(0);
  const screen = useRef<{ terminal: Terminal; fit: FitAddon } | null>(null);

  useEffect(() => {
    if (!host.current) return;
    const terminal = new Terminal({
      fontFamily: '"JetBrains Mono Variable", ui-monospace, monospace',
      fontSize: 12.5,
      lineHeight: 1.25,
      cursorBlink: !window.matchMedia('(prefers-reduced-motion: reduce)').matches,
      scrollback: 5_000,
      minimumContrastRatio: 4.5,
      screenReaderMode: false,
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.loadAddon(new WebLinksAddon());
    terminal.open(host.current);
    screen.current = { terminal, fit };
    // Its size is zero while another tab is shown.
    const resized = new ResizeObserver(() => {
      if (host.current?.offsetParent) fit.fit();
    });
    resized.observe(host.current);
    return () => {
      resized.disconnect();
      terminal.dispose();
      screen.current = null;
    };
  }, [host]);

  useEffect(() => {
    if (screen.current) screen.current.terminal.options.theme = TERMINAL_THEMES[isDark ? 'dark' : 'light'];
  }, [isDark]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt opens it again
  useEffect(() => {
    if (!screen.current || !socket || connection !== 'live') return;
    screen.current.fit.fit();
    return connectTerminal({ socket, terminal: screen.current.terminal, orgSlug, sessionId, onState: setState });
  }, [socket, connection, orgSlug, sessionId, attempt]);

  useEffect(() => {
    if (visible) screen.current?.terminal.focus();
  }, [visible]);

  const reopen = useCallback(() => setAttempt((count) => count + 1), []);
  return { state, reopen };
}

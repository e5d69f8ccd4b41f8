'use client';
import { useRouter } from 'next/navigation';
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from 'react';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { CommandPalette } from './command-palette.tsx';
import { ShortcutsHelp } from './shortcuts-help.tsx';

type CommandCenterValue = { openPalette: () => void; openHelp: () => void };
const Context = createContext<CommandCenterValue>({ openPalette: () => {}, openHelp: () => {} });

export function useCommandCenter(): CommandCenterValue {
  return useContext(Context);
}

/** A second key must follow within this time: `g s`. */
const SEQUENCE_MS = 1_000;

/** Keys belong to what is being typed into: fields, dialogs, and the editor and the terminal, which mark themselves. */
function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)) return true;
  return target.closest('dialog, [data-own-keys]') !== null;
}

/** The command palette, the list of shortcuts, and the keys that work on every page. */
export function CommandCenter({ children }: { children: ReactNode }) {
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const router = useRouter();
  const [shown, setShown] = useState<'palette' | 'help' | null>(null);
  const prefixAt = useRef(0);

  useEffect(() => {
    function onKeyDown(event: KeyboardEvent) {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        setShown((now) => (now === 'palette' ? null : 'palette'));
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
      const afterG = performance.now() - prefixAt.current < SEQUENCE_MS;
      prefixAt.current = event.key === 'g' ? performance.now() : 0;
      const goTo = { s: 'sessions', r: 'repositories', t: 'settings' }[event.key];
      if (afterG && goTo) router.push(`/${org.slug}/${goTo}`);
      else if (event.key === 'c' && canWrite) router.push(`/${org.slug}/new`);
      else if (event.key === '?') setShown('help');
      else return;
      event.preventDefault();
    }
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, [org.slug, router, canWrite]);

  const value = useMemo(() => ({ openPalette: () => setShown('palette'), openHelp: () => setShown('help') }), []);
  return (
    <Context value={value}>
      {children}
      <CommandPalette open={shown === 'palette'} onClose={() => setShown(null)} onHelp={() => setShown('help')} />
      <ShortcutsHelp open={shown === 'help'} onClose={() => setShown(null)} />
    </Context>
  );
}

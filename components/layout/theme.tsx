'use client';
import { Monitor, Moon, Sun } from 'lucide-react';
import { useState, useSyncExternalStore } from 'react';
import { THEME_STORAGE_KEY } from './theme-script.ts';

type Theme = 'system' | 'light' | 'dark';

const listeners = new Set<() => void>();

function readTheme(): Theme {
  return (document.documentElement.dataset.theme as Theme | undefined) ?? 'system';
}

function setTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === 'system') localStorage.removeItem(THEME_STORAGE_KEY);
    else localStorage.setItem(THEME_STORAGE_KEY, theme);
  } catch {
    // Storage is blocked: the choice holds until the page is left.
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  const list = window.matchMedia('(prefers-color-scheme: dark)');
  listeners.add(listener);
  list.addEventListener('change', listener);
  return () => {
    listeners.delete(listener);
    list.removeEventListener('change', listener);
  };
}

/** Whether the page is dark now; for what cannot be styled with CSS variables. */
export function useIsDark(): boolean {
  return useSyncExternalStore(
    subscribe,
    () => {
      const theme = readTheme();
      return theme === 'dark' || (theme === 'system' && window.matchMedia('(prefers-color-scheme: dark)').matches);
    },
    () => false,
  );
}

const ICONS = { system: Monitor, light: Sun, dark: Moon };
const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

export function ThemeToggle() {
  const theme = useSyncExternalStore(subscribe, readTheme, () => 'system' as const);
  const [announced, setAnnounced] = useState('');
  const Icon = ICONS[theme];
  const label = `Theme: ${theme}. Switch to ${NEXT[theme]}`;
  return (
    <>
      <button
        type="button"
        aria-label={label}
        title={label}
        className="inline-flex size-8 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-ink"
        onClick={() => {
          setTheme(NEXT[theme]);
          setAnnounced(`Theme: ${NEXT[theme]}`);
        }}
      >
        <Icon className="size-4" />
      </button>
      <span role="status" className="sr-only">
        {announced}
      </span>
    </>
  );
}

'use client';
import { useQuery } from '@tanstack/react-query';
import { Bot, CircleUser, FolderGit2, Keyboard, Plus, Settings } from 'lucide-react';
import { useRouter } from 'next/navigation';
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { StatusIcon } from '../session/status.tsx';
import { cn } from '../ui/cn.ts';
import { Dialog } from '../ui/dialog.tsx';
import { matches } from './matches.ts';

type Entry = { id: string; label: string; detail?: string; icon: ReactNode; run: () => void };

type Props = { open: boolean; onClose: () => void; onHelp: () => void };

export function CommandPalette({ open, onClose, onHelp }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Search"
      hideTitle
      className="mt-[12vh] mb-auto w-[min(36rem,calc(100vw-1.5rem))] overflow-hidden"
    >
      <PaletteBody onClose={onClose} onHelp={onHelp} />
    </Dialog>
  );
}

function PaletteBody({ onClose, onHelp }: Omit<Props, 'open'>) {
  const [query, setQuery] = useState('');
  const [active, setActive] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const listId = useId();
  const entries = useEntries(onHelp).filter(({ label, detail }) => matches(`${label} ${detail ?? ''}`, query));
  const chosen = entries[Math.min(active, entries.length - 1)];

  // biome-ignore lint/correctness/useExhaustiveDependencies: brings the chosen entry into view
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [chosen?.id]);

  function run(entry: Entry | undefined) {
    if (!entry) return;
    onClose();
    entry.run();
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === 'Enter') return run(chosen);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || entries.length === 0) return;
    event.preventDefault();
    setActive((Math.min(active, entries.length - 1) + step + entries.length) % entries.length);
  }

  return (
    <>
      <input
        // biome-ignore lint/a11y/noAutofocus: the palette is opened to type into it
        autoFocus
        role="combobox"
        aria-label="Search sessions, repositories and actions"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={chosen ? `${listId}-${chosen.id}` : undefined}
        placeholder="Search sessions, repositories, actions"
        value={query}
        onChange={(event) => {
          setQuery(event.target.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
        className="h-12 w-full border-b bg-transparent px-4 text-base outline-none"
      />
      <div ref={list} id={listId} role="listbox" aria-label="Results" className="max-h-[50vh] overflow-y-auto p-1.5">
        {entries.map((entry) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled by the combobox that owns this list
          <div
            key={entry.id}
            id={`${listId}-${entry.id}`}
            role="option"
            tabIndex={-1}
            aria-selected={entry === chosen}
            onClick={() => run(entry)}
            onPointerMove={() => setActive(entries.indexOf(entry))}
            className={cn(
              'flex cursor-pointer items-center gap-2.5 rounded-md px-2.5 py-2 [&_svg]:size-3.5',
              entry === chosen && 'bg-hover',
            )}
          >
            <span className="flex text-muted">{entry.icon}</span>
            <span className="min-w-0 flex-1 truncate">{entry.label}</span>
            {entry.detail && <span className="truncate text-faint text-xs">{entry.detail}</span>}
          </div>
        ))}
        {entries.length === 0 && <p className="px-3 py-6 text-center text-muted">Nothing matches “{query}”.</p>}
      </div>
    </>
  );
}

function useEntries(onHelp: () => void): Entry[] {
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const router = useRouter();
  const trpc = useTRPC();
  const sessions = useQuery(trpc.sessions.list.queryOptions({ org: org.slug }));
  const repositories = useQuery(trpc.repositories.list.queryOptions({ org: org.slug }));
  const goTo = (path: string) => () => router.push(`/${org.slug}/${path}`);
  return [
    ...(canWrite ? [{ id: 'new', label: 'New session', icon: <Plus />, run: goTo('new') }] : []),
    ...(sessions.data ?? []).map((session) => ({
      id: session.id,
      label: session.title,
      detail: session.repository.name,
      icon: <StatusIcon status={session.status} />,
      run: goTo(`sessions/${session.id}`),
    })),
    ...(repositories.data ?? []).map((repository) => ({
      id: repository.id,
      label: repository.name,
      detail: 'Repository',
      icon: <FolderGit2 />,
      run: goTo(`repositories/${repository.slug}`),
    })),
    { id: 'sessions', label: 'Go to sessions', icon: <Bot />, run: goTo('sessions') },
    { id: 'repositories', label: 'Go to repositories', icon: <FolderGit2 />, run: goTo('repositories') },
    { id: 'settings', label: 'Go to settings', icon: <Settings />, run: goTo('settings') },
    { id: 'account', label: 'Go to your account', icon: <CircleUser />, run: goTo('account') },
    { id: 'help', label: 'Keyboard shortcuts', icon: <Keyboard />, run: onHelp },
  ];
}

'use client';
import { useQuery } from '@tanstack/react-query';
import { ChevronRight, File, Folder, FolderOpen, RefreshCw } from 'lucide-react';
import { type KeyboardEvent, useState } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { IconButton } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { messageOf } from '../ui/notes.tsx';
import { Spinner } from '../ui/spinner.tsx';

type Props = { sessionId: string; current: string | null; opening: string | null; onOpen: (path: string) => void };

/** The workspace of the live machine, one directory read at a time as it is opened. */
export function FileTree({ sessionId, current, opening, onOpen }: Props) {
  function onKeyDown(event: KeyboardEvent<HTMLElement>) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-entry]')];
    rows[rows.indexOf(document.activeElement as HTMLElement) + step]?.focus();
  }
  return (
    <nav aria-label="Files in the machine" onKeyDown={onKeyDown} className="h-full overflow-auto py-1 text-xs">
      <Directory path="" depth={0} {...{ sessionId, current, opening, onOpen }} />
    </nav>
  );
}

function Directory({ path, depth, ...props }: Props & { path: string; depth: number }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const listing = useQuery(
    trpc.sessions.files.queryOptions({ org: org.slug, sessionId: props.sessionId, path }, { refetchOnWindowFocus: false }),
  );
  const indent = { paddingLeft: 8 + depth * 12 };
  if (listing.isPending) {
    return (
      <p role="status" style={indent} className="flex items-center gap-2 py-1 text-faint">
        <Spinner className="size-3" /> Reading…
      </p>
    );
  }
  if (listing.error) {
    return (
      <p role="alert" style={indent} className="py-1 pr-2 text-bad">
        {messageOf(listing.error)}
      </p>
    );
  }
  const entries = listing.data
    .filter(({ name }) => name !== '.git')
    .toSorted((a, b) => Number(b.kind === 'directory') - Number(a.kind === 'directory') || a.name.localeCompare(b.name));
  return (
    <>
      {depth === 0 && (
        <p className="flex items-center justify-between pr-1 pl-2 text-faint">
          <span className="font-mono text-2xs">/workspace</span>
          <IconButton label="Read the files again" size="sm" onClick={() => void listing.refetch()}>
            <RefreshCw className={cn('!size-3', listing.isFetching && 'animate-spin')} />
          </IconButton>
        </p>
      )}
      {entries.length === 0 && (
        <p style={indent} className="py-0.5 text-faint">
          empty
        </p>
      )}
      <ul>
        {entries.map((entry) => (
          <Entry
            key={entry.name}
            entry={entry}
            path={path === '' ? entry.name : `${path}/${entry.name}`}
            depth={depth}
            {...props}
          />
        ))}
      </ul>
    </>
  );
}

type EntryProps = Props & { entry: { name: string; kind: string }; path: string; depth: number };

function Entry({ entry, path, depth, ...props }: EntryProps) {
  const [isOpen, setOpen] = useState(false);
  const isDirectory = entry.kind === 'directory';
  const Icon = isDirectory ? (isOpen ? FolderOpen : Folder) : File;
  return (
    <li>
      <button
        type="button"
        data-entry
        aria-expanded={isDirectory ? isOpen : undefined}
        aria-current={path === props.current ? 'true' : undefined}
        onClick={() => (isDirectory ? setOpen(!isOpen) : props.onOpen(path))}
        style={{ paddingLeft: 8 + depth * 12 }}
        className={cn(
          'flex h-6 w-full items-center gap-1.5 pr-2 text-left hover:bg-hover focus-visible:-outline-offset-2',
          path === props.current && 'bg-accent-soft text-accent',
        )}
      >
        <ChevronRight
          aria-hidden
          className={cn('size-3 shrink-0 text-faint transition-transform', isOpen && 'rotate-90', !isDirectory && 'invisible')}
        />
        {path === props.opening ? (
          <Spinner className="size-3.5" />
        ) : (
          <Icon aria-hidden className="size-3.5 shrink-0 text-faint" />
        )}
        <span className="truncate">{entry.name}</span>
      </button>
      {isOpen && <Directory path={path} depth={depth + 1} {...props} />}
    </li>
  );
}

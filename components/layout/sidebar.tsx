'use client';
import { useQuery } from '@tanstack/react-query';
import { Bot, Check, ChevronsUpDown, CircleUser, FolderGit2, Keyboard, LogOut, Plus, Search, Settings } from 'lucide-react';
import Link from 'next/link';
import { usePathname } from 'next/navigation';
import { signOut } from 'next-auth/react';
import type { ReactNode } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { useCommandCenter } from '../palette/command-center.tsx';
import { ConnectionHint } from '../realtime/connection-hint.tsx';
import { usePolling } from '../realtime/realtime-provider.tsx';
import { StatusIcon } from '../session/status.tsx';
import { ButtonLink } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { Kbd } from '../ui/kbd.tsx';
import { LinkPending } from '../ui/link-pending.tsx';
import { Menu } from '../ui/menu.tsx';
import { Logo } from './logo.tsx';
import { useCanWrite, useOrg } from './org-context.tsx';
import { ThemeToggle } from './theme.tsx';

const RECENT_MAX = 12;

export function Sidebar({ orgs }: { orgs: { slug: string; name: string }[] }) {
  const { org, user } = useOrg();
  const { openPalette, openHelp } = useCommandCenter();
  const canWrite = useCanWrite();
  return (
    <>
      <div className="flex h-12 items-center px-2">
        <Menu
          label={`Organization ${org.name}`}
          align="start"
          className="min-w-0 max-w-full gap-2 px-1.5 py-1 hover:bg-hover"
          trigger={
            <>
              <Logo className="shrink-0" />
              <span className="truncate font-semibold">{org.name}</span>
              <ChevronsUpDown className="size-3.5 shrink-0 text-faint" aria-hidden />
            </>
          }
          items={orgs.map(({ slug, name }) => ({
            href: `/${slug}/sessions`,
            label: name,
            icon: slug === org.slug ? <Check aria-label="current" /> : <span className="size-3.5" />,
          }))}
        />
      </div>
      <nav aria-label="Main" className="flex min-h-0 flex-1 flex-col gap-px overflow-y-auto px-2">
        {canWrite && (
          <ButtonLink href={`/${org.slug}/new`} size="md" className="mb-1 justify-start bg-surface px-2">
            <Plus aria-hidden /> New session
            <span className="ml-auto hidden md:block">
              <Kbd>c</Kbd>
            </span>
          </ButtonLink>
        )}
        <button
          type="button"
          onClick={openPalette}
          className="mb-2 flex h-8 items-center gap-2 rounded-md px-2 text-muted hover:bg-hover hover:text-ink"
        >
          <Search className="size-3.5" aria-hidden /> Search
          <span className="ml-auto hidden gap-0.5 md:flex">
            <Kbd>Ctrl</Kbd>
            <Kbd>K</Kbd>
          </span>
        </button>
        <NavLink href={`/${org.slug}/sessions`} icon={<Bot />} exact>
          Sessions
        </NavLink>
        <NavLink href={`/${org.slug}/repositories`} icon={<FolderGit2 />}>
          Repositories
        </NavLink>
        <NavLink href={`/${org.slug}/settings`} icon={<Settings />}>
          Settings
        </NavLink>
        <RecentSessions />
      </nav>
      <div className="px-3 py-1">
        <ConnectionHint className="hidden md:block" />
      </div>
      <div className="flex items-center gap-1 border-t p-2">
        <Menu
          label="Account"
          align="start"
          up
          boxClassName="min-w-0 flex-1"
          className="w-full min-w-0 gap-2 px-1.5 py-1 text-left hover:bg-hover"
          trigger={
            <>
              <span className="flex size-6 shrink-0 items-center justify-center rounded-full bg-accent-soft font-semibold text-2xs text-accent">
                {user.name.slice(0, 1).toUpperCase()}
              </span>
              <span className="truncate text-muted">{user.name}</span>
            </>
          }
          items={[
            { label: 'Account and tokens', icon: <CircleUser />, href: `/${org.slug}/account` },
            { label: 'Keyboard shortcuts', icon: <Keyboard />, onSelect: openHelp },
            { label: 'Sign out', icon: <LogOut />, onSelect: () => void signOut({ callbackUrl: '/' }) },
          ]}
        />
        <ThemeToggle />
      </div>
    </>
  );
}

function NavLink({ href, icon, exact, children }: { href: string; icon: ReactNode; exact?: boolean; children: ReactNode }) {
  const pathname = usePathname();
  const current = exact ? pathname === href : pathname.startsWith(href);
  return (
    <Link
      href={href}
      aria-current={current ? 'page' : undefined}
      className={cn(
        'flex h-8 shrink-0 items-center gap-2 rounded-md px-2 text-muted hover:bg-hover hover:text-ink [&_svg]:size-3.5',
        current && 'bg-hover font-medium text-ink',
      )}
    >
      {icon}
      {children}
      <LinkPending className="ml-auto" />
    </Link>
  );
}

/** Sessions that are not over, so that going from one to the other takes one click. */
function RecentSessions() {
  const { org } = useOrg();
  const trpc = useTRPC();
  const pathname = usePathname();
  const sessions = useQuery(trpc.sessions.list.queryOptions({ org: org.slug }, { refetchInterval: usePolling() }));
  const open = (sessions.data ?? []).filter(({ status }) => status !== 'ended').slice(0, RECENT_MAX);
  if (open.length === 0) return null;
  return (
    <div className="mt-4 flex flex-col gap-px pb-2">
      <h2 className="px-2 pb-1 font-medium text-faint text-xs">Open sessions</h2>
      {open.map((session) => {
        const href = `/${org.slug}/sessions/${session.id}`;
        const current = pathname === href;
        return (
          <Link
            key={session.id}
            href={href}
            aria-current={current ? 'page' : undefined}
            className={cn(
              'flex h-7 shrink-0 items-center gap-2 rounded-md px-2 text-muted hover:bg-hover hover:text-ink',
              current && 'bg-hover text-ink',
            )}
          >
            <StatusIcon status={session.status} />
            <span className="truncate">{session.title}</span>
            <LinkPending className="ml-auto" />
          </Link>
        );
      })}
    </div>
  );
}

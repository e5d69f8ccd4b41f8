'use client';
import { Menu as MenuIcon, X } from 'lucide-react';
import Link from 'next/link';
import { usePathname } from 'next/navigation';
import { type ReactNode, useEffect, useState } from 'react';
import { CommandCenter } from '../palette/command-center.tsx';
import { ConnectionHint } from '../realtime/connection-hint.tsx';
import { RealtimeProvider } from '../realtime/realtime-provider.tsx';
import { IconButton } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { Logo } from './logo.tsx';
import { type OrgPage, OrgProvider } from './org-context.tsx';
import { Sidebar } from './sidebar.tsx';
import { TroubleNote } from './trouble-note.tsx';
import { WeakIsolationNote } from './weak-isolation-note.tsx';

type Props = OrgPage & { orgs: { slug: string; name: string }[]; weakIsolation: string[]; children: ReactNode };

export function OrgShell({ orgs, weakIsolation, children, ...page }: Props) {
  return (
    <OrgProvider value={page}>
      <RealtimeProvider orgSlug={page.org.slug}>
        <CommandCenter>
          <Frame orgs={orgs} weakIsolation={weakIsolation}>
            {children}
          </Frame>
        </CommandCenter>
      </RealtimeProvider>
    </OrgProvider>
  );
}

function Frame({ orgs, weakIsolation, children }: Pick<Props, 'orgs' | 'weakIsolation' | 'children'>) {
  const [menuOpen, setMenuOpen] = useState(false);
  const pathname = usePathname();
  // biome-ignore lint/correctness/useExhaustiveDependencies: going to another page closes the menu
  useEffect(() => setMenuOpen(false), [pathname]);

  return (
    <div className="flex h-dvh flex-col md:flex-row">
      <a href="#main" className="sr-only z-50 rounded bg-surface px-3 py-2 focus:not-sr-only focus:absolute focus:m-2">
        Skip to content
      </a>
      <div className="flex h-11 shrink-0 items-center gap-2 border-b bg-sunken px-2 md:hidden">
        <IconButton label={menuOpen ? 'Close menu' : 'Open menu'} aria-expanded={menuOpen} onClick={() => setMenuOpen(!menuOpen)}>
          {menuOpen ? <X /> : <MenuIcon />}
        </IconButton>
        <Link href="/" className="flex items-center gap-2 font-semibold">
          <Logo className="size-[18px]" /> Warren
        </Link>
        <ConnectionHint className="ml-auto" />
      </div>
      <aside
        className={cn(
          'w-full shrink-0 border-r bg-sunken md:flex md:w-52 md:flex-col',
          menuOpen ? 'flex min-h-0 flex-1 flex-col' : 'hidden',
        )}
      >
        <Sidebar orgs={orgs} />
      </aside>
      <div className={cn('flex min-h-0 min-w-0 flex-1 flex-col', menuOpen && 'hidden md:flex')}>
        <WeakIsolationNote reasons={weakIsolation} />
        <TroubleNote />
        <main id="main" tabIndex={-1} className="min-h-0 flex-1 overflow-y-auto outline-none">
          {children}
        </main>
      </div>
    </div>
  );
}

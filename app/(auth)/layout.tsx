import Link from 'next/link';
import type { ReactNode } from 'react';
import { Logo } from '../../components/layout/logo.tsx';
import { ThemeToggle } from '../../components/layout/theme.tsx';

export default function AuthLayout({ children }: { children: ReactNode }) {
  return (
    <div className="flex min-h-dvh flex-col px-4">
      <header className="flex h-16 items-center justify-between px-2">
        <Link href="/" className="flex items-center gap-2 font-semibold text-base">
          <Logo /> Warren
        </Link>
        <ThemeToggle />
      </header>
      <main className="mx-auto w-full max-w-sm flex-1 pt-[8vh] pb-16">{children}</main>
    </div>
  );
}

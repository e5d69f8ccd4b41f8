import type { Metadata, Viewport } from 'next';
import type { ReactNode } from 'react';
import { Providers } from '../components/api/providers.tsx';
import { THEME_SCRIPT } from '../components/layout/theme-script.ts';
import './globals.css';

export const metadata: Metadata = {
  title: { default: 'Warren', template: '%s · Warren' },
  description: 'Coding agents that each get a real machine, sleep while they wait, and wake where they left off.',
};

export const viewport: Viewport = { width: 'device-width', initialScale: 1, viewportFit: 'cover' };

export default function RootLayout({ children }: { children: ReactNode }) {
  return (
    <html lang="en" suppressHydrationWarning>
      <head>
        {/* biome-ignore lint/security/noDangerouslySetInnerHtml: a constant of ours, see theme-script.ts */}
        <script dangerouslySetInnerHTML={{ __html: THEME_SCRIPT }} />
      </head>
      <body>
        <Providers>{children}</Providers>
      </body>
    </html>
  );
}

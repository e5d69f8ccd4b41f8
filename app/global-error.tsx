'use client';
import './globals.css';

/** The layout itself failed: nothing but the browser is left to rely on. */
export default function GlobalError({ reset }: { reset: () => void }) {
  return (
    <html lang="en">
      <body className="flex flex-col items-center justify-center gap-3 p-6 text-center">
        <h1 className="font-semibold text-xl">Warren could not show this page</h1>
        <p className="text-muted">Nothing stored is lost. If it stays, look at the log of the web process.</p>
        <button type="button" onClick={reset} className="rounded-md border px-3 py-1.5">
          Try again
        </button>
      </body>
    </html>
  );
}

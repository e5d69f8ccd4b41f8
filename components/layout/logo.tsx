import { cn } from '../ui/cn.ts';

/** A burrow under a hill: where machines sleep. */
export function Logo({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 20 20" aria-hidden className={cn('size-5', className)}>
      <rect width="20" height="20" rx="5" fill="var(--accent-solid)" />
      <path d="M3 15.5c0-5 3.1-8.5 7-8.5s7 3.5 7 8.5h-4.2c0-2-1.1-3.4-2.8-3.4s-2.8 1.4-2.8 3.4z" fill="#fff" />
      <circle cx="14.6" cy="5" r="1.5" fill="#fff" opacity="0.85" />
    </svg>
  );
}

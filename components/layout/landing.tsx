import { ButtonLink } from '../ui/button.tsx';
import { Logo } from './logo.tsx';
import { ThemeToggle } from './theme.tsx';

const FACTS = [
  [
    'A real machine',
    'Every session is a virtual machine of its own: own kernel, own disk, root inside, no network but what your policy allows.',
  ],
  [
    'Asleep while it waits',
    'When the agent waits for a check, a reviewer or you, memory and processes are written to disk and the machine is gone.',
  ],
  [
    'Awake where it left off',
    'A failed check, a review comment or a message wakes the same machine: same boot, same agent process, same conversation.',
  ],
] as const;

export function Landing({ withoutOrg }: { withoutOrg?: boolean }) {
  return (
    <div className="mx-auto flex min-h-dvh max-w-4xl flex-col px-6">
      <header className="flex h-16 items-center justify-between">
        <span className="flex items-center gap-2 font-semibold text-base">
          <Logo /> Warren
        </span>
        <ThemeToggle />
      </header>
      <main className="flex flex-1 flex-col justify-center pb-24">
        <h1 className="max-w-2xl text-balance font-semibold text-2xl leading-tight tracking-tight sm:text-[34px] sm:leading-[42px]">
          Coding agents that each get a real machine, sleep while they wait, and wake where they left off.
        </h1>
        {withoutOrg ? (
          <p className="mt-6 max-w-prose text-base text-muted">
            You are signed in, but a member of no organization. Ask an owner of one to add you.
          </p>
        ) : (
          <div className="mt-8 flex flex-wrap gap-3">
            <ButtonLink href="/sign-up" variant="primary" size="lg">
              Sign up
            </ButtonLink>
            <ButtonLink href="/sign-in" size="lg">
              Sign in
            </ButtonLink>
          </div>
        )}
        <dl className="mt-14 grid gap-x-10 gap-y-6 sm:grid-cols-3">
          {FACTS.map(([term, text]) => (
            <div key={term} className="border-line-strong border-t pt-3">
              <dt className="font-medium">{term}</dt>
              <dd className="mt-1 text-muted">{text}</dd>
            </div>
          ))}
        </dl>
      </main>
    </div>
  );
}

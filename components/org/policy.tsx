import type { ReactNode } from 'react';
import type { ApiOutputs } from '../api/trpc.ts';
import { SCRIPTED_HINT, ScriptedBadge } from '../session/status.tsx';
import { formatBytes, formatDuration } from '../ui/format.ts';
import { Section } from './section.tsx';

type Props = Pick<ApiOutputs['orgs']['get'], 'policy' | 'model'>;

/** The organization's rules as they are enforced now. */
export function Policy({ policy, model }: Props) {
  return (
    <>
      <Section title="Model">
        <Facts>
          <Fact term="Provider">{model.provider === 'demo' ? 'none configured' : model.provider}</Fact>
          <Fact term="Model">
            <span className="inline-flex flex-wrap items-center gap-2">
              <code className="text-xs">{model.model}</code>
              {model.scripted && <ScriptedBadge />}
            </span>
            {model.scripted && (
              <span className="mt-1 block text-muted text-xs">
                {SCRIPTED_HINT} Set <code>OPENAI_API_KEY</code>, and <code>OPENAI_BASE_URL</code> for a compatible endpoint, and
                start Warren again.
              </span>
            )}
          </Fact>
          <Fact term="Allowed">
            {policy.allowedModels === null ? 'every configured model' : policy.allowedModels.join(', ') || 'none'}
          </Fact>
        </Facts>
      </Section>
      <Section title="Sessions">
        <Facts>
          <Fact term="At a time">{policy.maxConcurrentSessions} sessions with a machine; sleeping ones do not count</Fact>
          <Fact term="Falls asleep">{formatDuration(policy.idleSuspendMs)} after the last thing that happened</Fact>
          <Fact term="Stays awake">{describeBackgroundWork(policy)}</Fact>
          <Fact term="Messages">up to {formatBytes(policy.promptBytesMax)} each</Fact>
          <Fact term="Merging">
            {policy.requirePassingChecks ? 'only when every check passed' : 'also when checks have not passed, after a warning'}
          </Fact>
          <Fact term="Default branch">{describePush(policy)}</Fact>
        </Facts>
      </Section>
    </>
  );
}

/** What keeps a machine awake although nobody does anything. */
function describeBackgroundWork({ backgroundWorkMaxMs }: Props['policy']): string {
  if (backgroundWorkMaxMs === 0) return 'for nothing that an agent leaves running';
  return `for up to ${formatDuration(backgroundWorkMaxMs)} while a build or a download goes on that the agent left running`;
}

/** Who may push to it with their own git. */
function describePush({ defaultBranchPush, requirePassingChecks }: Props['policy']): string {
  if (requirePassingChecks || defaultBranchPush === null) return 'moves only when a change is merged';
  return `pushes by people with the role ${defaultBranchPush} or higher; sessions never`;
}

function Facts({ children }: { children: ReactNode }) {
  return <dl className="mt-3 divide-y rounded-lg border bg-surface">{children}</dl>;
}

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div className="flex gap-4 px-3 py-2">
      <dt className="w-24 shrink-0 text-faint">{term}</dt>
      <dd className="min-w-0 flex-1">{children}</dd>
    </div>
  );
}

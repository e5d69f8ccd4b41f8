import type { ApiOutputs } from '../api/trpc.ts';
import { Badge } from '../ui/badge.tsx';
import { Ago } from '../ui/time.tsx';
import { Section } from './section.tsx';

export function Members({ members }: { members: ApiOutputs['orgs']['get']['members'] }) {
  return (
    <Section title="Members">
      <ul className="mt-3 divide-y rounded-lg border bg-surface">
        {members.map((member) => (
          <li key={member.userId} className="flex items-center gap-3 px-3 py-2">
            <div className="min-w-0 flex-1">
              <p className="truncate font-medium">{member.name}</p>
              <p className="truncate text-faint text-xs">{member.email}</p>
            </div>
            <span className="hidden text-faint text-xs sm:inline">
              since <Ago at={member.since} />
            </span>
            <Badge>{member.role}</Badge>
          </li>
        ))}
      </ul>
    </Section>
  );
}

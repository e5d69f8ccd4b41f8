'use client';
import { EgressLog } from '../egress/egress-log.tsx';
import { EgressRules } from '../egress/rules.tsx';
import { Section } from './section.tsx';

/** What machines may reach, and what they tried. */
export function Egress() {
  return (
    <>
      <Section
        title="Rules"
        hint="Machines have no network device. What they may reach goes through a proxy; everything else is refused, and addresses of private networks always. The most specific host decides."
      >
        <EgressRules />
      </Section>
      <Section title="Requests" hint="What all machines tried to reach in the last 30 days.">
        <EgressLog isLive />
      </Section>
    </>
  );
}

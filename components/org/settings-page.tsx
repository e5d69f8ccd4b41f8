'use client';
import { useQuery } from '@tanstack/react-query';
import { useTRPC } from '../api/trpc.ts';
import { useCanAdminister, useCanWrite, useOrg } from '../layout/org-context.tsx';
import { PageHeader } from '../layout/page-header.tsx';
import { Secrets } from '../secrets/secrets.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { type Tab, TabPanel, Tabs } from '../ui/tabs.tsx';
import { useTab } from '../ui/use-tab.ts';
import { AuditLog } from './audit-log.tsx';
import { Egress } from './egress.tsx';
import { Hosts } from './hosts.tsx';
import { Members } from './members.tsx';
import { Policy } from './policy.tsx';
import { Usage } from './usage.tsx';

type View = 'members' | 'policy' | 'egress' | 'secrets' | 'usage' | 'hosts' | 'audit';

export function SettingsPage() {
  const { org } = useOrg();
  const trpc = useTRPC();
  const found = useQuery(trpc.orgs.get.queryOptions({ org: org.slug }));
  const mayAudit = useCanAdminister();
  const mayWrite = useCanWrite();
  const tabs: Tab<View>[] = [
    { id: 'members', label: 'Members' },
    { id: 'policy', label: 'Policy and model' },
    { id: 'egress', label: 'Egress' },
    ...(mayWrite ? ([{ id: 'secrets', label: 'Secrets' }] as const) : []),
    { id: 'usage', label: 'Usage' },
    { id: 'hosts', label: 'Hosts' },
    ...(mayAudit ? ([{ id: 'audit', label: 'Audit' }] as const) : []),
  ];
  const [shown, setShown] = useTab(tabs, 'members');
  if (found.isPending) return <Loading label="Loading the organization" />;
  if (!found.data) return <ErrorNote error={found.error} className="m-4" />;
  return (
    <>
      <PageHeader title={found.data.org.name} />
      <div className="px-2 md:px-4">
        <Tabs label="Settings" value={shown} onChange={setShown} tabs={tabs} />
      </div>
      <TabPanel id={shown} className="mx-auto max-w-4xl px-4 py-5 md:px-6">
        {shown === 'members' && <Members members={found.data.members} />}
        {shown === 'policy' && <Policy policy={found.data.policy} model={found.data.model} />}
        {shown === 'egress' && <Egress />}
        {shown === 'secrets' && <Secrets />}
        {shown === 'usage' && <Usage />}
        {shown === 'hosts' && <Hosts />}
        {shown === 'audit' && <AuditLog />}
      </TabPanel>
    </>
  );
}

'use client';
import { createContext, type ReactNode, useContext } from 'react';
import type { ApiOutputs } from '../api/trpc.ts';

type Role = ApiOutputs['orgs']['get']['role'];

export type OrgPage = {
  org: { id: string; slug: string; name: string };
  role: Role;
  user: { id: string; name: string; email: string };
  model: ApiOutputs['orgs']['get']['model'];
};

const OrgContext = createContext<OrgPage | null>(null);

export function OrgProvider({ value, children }: { value: OrgPage; children: ReactNode }) {
  return <OrgContext value={value}>{children}</OrgContext>;
}

/** The organization whose pages these are, and who looks at them. */
export function useOrg(): OrgPage {
  const page = useContext(OrgContext);
  if (!page) throw new Error('useOrg outside of an organization’s pages');
  return page;
}

/** Whether the person may change things here: viewers read only. */
export function useCanWrite(): boolean {
  return useOrg().role !== 'viewer';
}

/** Whether the person may change how the organization works: its rules and secrets. */
export function useCanAdminister(): boolean {
  const { role } = useOrg();
  return role === 'admin' || role === 'owner';
}

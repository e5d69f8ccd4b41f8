'use client';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Pencil, Plus, ShieldCheck, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { describeRule } from '../../server/egress/contract.ts';
import { type ApiOutputs, useTRPC } from '../api/trpc.ts';
import { useCanAdminister, useOrg } from '../layout/org-context.tsx';
import { Badge } from '../ui/badge.tsx';
import { Button, IconButton } from '../ui/button.tsx';
import { ConfirmDialog } from '../ui/confirm-dialog.tsx';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { RuleDialog } from './rule-dialog.tsx';
import { draftOf, NEW_RULE, type RuleDraft } from './rule-draft.ts';

type Rule = ApiOutputs['egress']['rules']['rules'][number];

export function EgressRules() {
  const { org } = useOrg();
  const trpc = useTRPC();
  const mayChange = useCanAdminister();
  const found = useQuery(trpc.egress.rules.queryOptions({ org: org.slug }));
  const [draft, setDraft] = useState<RuleDraft | null>(null);
  const [removing, setRemoving] = useState<Rule | null>(null);
  if (found.isPending) return <Loading label="Loading egress rules" />;
  if (!found.data) return <ErrorNote error={found.error} />;
  const { rules } = found.data;
  const add = mayChange && (
    <Button variant="primary" onClick={() => setDraft(NEW_RULE)}>
      <Plus aria-hidden /> Add rule
    </Button>
  );
  return (
    <>
      {rules.length > 0 && add && <div className="mb-3 flex justify-end">{add}</div>}
      {rules.length === 0 && (
        <EmptyState icon={<ShieldCheck />} title="No rules: machines reach nothing outside" action={add || undefined}>
          Git, models and npm go through Warren itself and need no rule.
        </EmptyState>
      )}
      {rules.length > 0 && (
        <ul className="divide-y rounded-lg border bg-surface">
          {rules.map((rule) => (
            <RuleRow
              key={rule.id}
              rule={rule}
              onEdit={mayChange ? () => setDraft(draftOf(rule)) : null}
              onRemove={mayChange ? () => setRemoving(rule) : null}
            />
          ))}
        </ul>
      )}
      {!mayChange && <p className="mt-3 text-faint text-xs">Admins and owners change these.</p>}
      <RuleDialog open={draft !== null} onClose={() => setDraft(null)} draft={draft} />
      <RemoveRule rule={removing} onClose={() => setRemoving(null)} />
    </>
  );
}

type RowProps = { rule: Rule; onEdit: (() => void) | null; onRemove: (() => void) | null };

function RuleRow({ rule, onEdit, onRemove }: RowProps) {
  const { host, ports, mode, methods, paths, webSocket } = rule;
  return (
    <li className="flex items-start gap-2 px-3 py-2">
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="break-all font-mono text-xs">{host}</span>
          <span className="font-mono text-faint text-xs">{ports.join(', ')}</span>
          {mode === 'inspect' ? (
            <Badge tone="good">inspect</Badge>
          ) : (
            <Badge title="TLS goes through unread: only host and port are ruled.">splice</Badge>
          )}
          {webSocket && <Badge>WebSocket</Badge>}
        </p>
        {(methods || paths) && (
          <p className="mt-0.5 break-all font-mono text-2xs text-muted">
            {methods?.join(' ') ?? 'any method'} {paths?.join('  ') ?? 'any path'}
          </p>
        )}
      </div>
      {onEdit && (
        <IconButton label={`Edit the rule for ${host}`} size="sm" onClick={onEdit}>
          <Pencil />
        </IconButton>
      )}
      {onRemove && (
        <IconButton label={`Remove the rule for ${host}`} size="sm" onClick={onRemove}>
          <Trash2 />
        </IconButton>
      )}
    </li>
  );
}

function RemoveRule({ rule, onClose }: { rule: Rule | null; onClose: () => void }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const remove = useMutation(
    trpc.egress.removeRule.mutationOptions({
      onSuccess: async () => {
        await queryClient.invalidateQueries({ queryKey: trpc.egress.rules.pathKey() });
        onClose();
      },
    }),
  );
  return (
    <ConfirmDialog
      open={rule !== null}
      onClose={() => {
        remove.reset();
        onClose();
      }}
      title="Remove this rule?"
      confirm="Remove"
      danger
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => rule && remove.mutate({ org: org.slug, ruleId: rule.id })}
    >
      <code className="break-all text-ink text-xs">{rule && describeRule(rule)}</code>
      <p>Machines, running ones too, are refused what no other rule allows. Connections that are open stay open.</p>
    </ConfirmDialog>
  );
}

'use client';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { KeyRound, Plus, RotateCcwKey, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { type ApiOutputs, useTRPC } from '../api/trpc.ts';
import { useCanAdminister, useOrg } from '../layout/org-context.tsx';
import { Section } from '../org/section.tsx';
import { Badge } from '../ui/badge.tsx';
import { Button, IconButton } from '../ui/button.tsx';
import { ConfirmDialog } from '../ui/confirm-dialog.tsx';
import { Link } from '../ui/link.tsx';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { Ago } from '../ui/time.tsx';
import { NewSecretDialog, ReplaceValueDialog } from './secret-dialogs.tsx';
import { whyNotSent } from './why-not-sent.ts';

export type SecretRow = ApiOutputs['secrets']['list'][number];

const MACHINES: Record<SecretRow['purposes'][number], string> = { session: 'sessions', template: 'templates', check: 'checks' };

/** Credentials that are added to requests outside the machines. Nobody sees a value again, not even who set it. */
export function Secrets() {
  const { org } = useOrg();
  const trpc = useTRPC();
  const mayChange = useCanAdminister();
  const secrets = useQuery(trpc.secrets.list.queryOptions({ org: org.slug }));
  const rules = useQuery(trpc.egress.rules.queryOptions({ org: org.slug }));
  const [adding, setAdding] = useState(false);
  const [replacing, setReplacing] = useState<SecretRow | null>(null);
  const [removing, setRemoving] = useState<SecretRow | null>(null);
  if (secrets.isPending || rules.isPending) return <Loading label="Loading secrets" />;
  if (!secrets.data || !rules.data) return <ErrorNote error={secrets.error ?? rules.error} />;
  const add = mayChange && (
    <Button variant="primary" onClick={() => setAdding(true)}>
      <Plus aria-hidden /> Add secret
    </Button>
  );
  return (
    <Section
      title="Secrets"
      hint="Added to requests outside the machine, for one host and one header. No machine, snapshot or log ever holds one, and no page shows one again."
    >
      {secrets.data.length > 0 && add && <div className="mb-3 flex justify-end">{add}</div>}
      {secrets.data.length === 0 && (
        <EmptyState icon={<KeyRound />} title="No secrets yet" action={add || undefined}>
          A registry’s token or an API’s key: agents use the host without ever holding the credential.
        </EmptyState>
      )}
      {secrets.data.length > 0 && (
        <ul className="divide-y rounded-lg border bg-surface">
          {secrets.data.map((secret) => (
            <SecretItem
              key={secret.id}
              secret={secret}
              problem={whyNotSent(secret, rules.data.rules)}
              onReplace={mayChange ? () => setReplacing(secret) : null}
              onRemove={mayChange ? () => setRemoving(secret) : null}
            />
          ))}
        </ul>
      )}
      <p className="mt-3 max-w-prose text-faint text-xs">
        The host a secret is for receives it, and can answer with it. Give secrets of least scope to hosts you trust.
      </p>
      <NewSecretDialog open={adding} onClose={() => setAdding(false)} />
      <ReplaceValueDialog secret={replacing} onClose={() => setReplacing(null)} />
      <RemoveSecret secret={removing} onClose={() => setRemoving(null)} />
    </Section>
  );
}

type ItemProps = { secret: SecretRow; problem: string | null; onReplace: (() => void) | null; onRemove: (() => void) | null };

function SecretItem({ secret, problem, onReplace, onRemove }: ItemProps) {
  const { name, host, header, scheme, plainHttp, purposes, setAt, createdBy } = secret;
  return (
    <li className="flex items-start gap-2 px-3 py-2">
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="font-medium">{name}</span>
          {plainHttp && <Badge tone="warn">also plain HTTP</Badge>}
        </p>
        <p className="mt-0.5 break-all font-mono text-2xs text-muted">
          {host} {header}: {scheme === 'raw' ? '' : `${scheme === 'bearer' ? 'Bearer' : 'Basic'} `}••••
        </p>
        <p className="mt-0.5 text-faint text-xs">
          For {purposes.map((purpose) => MACHINES[purpose]).join(', ')} · by {createdBy} · set <Ago at={setAt} />
        </p>
        {problem && (
          <p className="mt-1 text-warn text-xs">
            {problem} <Link href="?tab=egress">Egress rules</Link>
          </p>
        )}
      </div>
      {onReplace && (
        <IconButton label={`Replace the value of ${name}`} size="sm" onClick={onReplace}>
          <RotateCcwKey />
        </IconButton>
      )}
      {onRemove && (
        <IconButton label={`Remove ${name}`} size="sm" onClick={onRemove}>
          <Trash2 />
        </IconButton>
      )}
    </li>
  );
}

function RemoveSecret({ secret, onClose }: { secret: SecretRow | null; onClose: () => void }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const remove = useMutation(
    trpc.secrets.remove.mutationOptions({
      onSuccess: async () => {
        await queryClient.invalidateQueries({ queryKey: trpc.secrets.pathKey() });
        onClose();
      },
    }),
  );
  return (
    <ConfirmDialog
      open={secret !== null}
      onClose={() => {
        remove.reset();
        onClose();
      }}
      title="Remove this secret?"
      confirm="Remove"
      danger
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => secret && remove.mutate({ org: org.slug, secretId: secret.id })}
    >
      <p>
        Requests to <code className="break-all text-ink">{secret?.host}</code> go without{' '}
        <code className="text-ink">{secret?.header}</code> from now on. The value cannot be brought back. Revoke it where it was
        made, too.
      </p>
    </ConfirmDialog>
  );
}

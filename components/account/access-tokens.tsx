'use client';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { KeyRound, Plus } from 'lucide-react';
import { useState } from 'react';
import { type ApiOutputs, useTRPC } from '../api/trpc.ts';
import { Section } from '../org/section.tsx';
import { Badge } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';
import { ConfirmDialog } from '../ui/confirm-dialog.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { Ago } from '../ui/time.tsx';
import { CreateTokenDialog } from './create-token-dialog.tsx';

type Token = ApiOutputs['account']['tokens'][number];

export function AccessTokens() {
  const trpc = useTRPC();
  const tokens = useQuery(trpc.account.tokens.queryOptions());
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Token | null>(null);
  return (
    <Section
      title="Access tokens"
      hint="Your own git signs in with one, as the password. It may do what your role in each organization allows."
    >
      {tokens.isPending && <Loading label="Loading your tokens" />}
      {tokens.error && <ErrorNote error={tokens.error} />}
      {tokens.data && tokens.data.length === 0 && (
        <p className="rounded-lg border border-dashed px-3 py-5 text-center text-muted">
          No tokens yet. Make one to clone and push with your own git.
        </p>
      )}
      {tokens.data && tokens.data.length > 0 && (
        <ul className="divide-y rounded-lg border bg-surface">
          {tokens.data.map((token) => (
            <TokenRow key={token.id} token={token} onRevoke={() => setRevoking(token)} />
          ))}
        </ul>
      )}
      <Button className="mt-3" onClick={() => setCreating(true)}>
        <Plus aria-hidden /> New token
      </Button>
      <CreateTokenDialog open={creating} onClose={() => setCreating(false)} />
      <RevokeDialog token={revoking} onClose={() => setRevoking(null)} />
    </Section>
  );
}

function TokenRow({ token, onRevoke }: { token: Token; onRevoke: () => void }) {
  const expired = token.expiresAt <= new Date();
  return (
    <li className="flex items-center gap-3 px-3 py-2">
      <KeyRound className="size-4 shrink-0 text-faint" aria-hidden />
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-center gap-2">
          <span className="break-words font-medium">{token.name}</span>
          <Badge>{token.access === 'write' ? 'read and push' : 'read only'}</Badge>
          {expired && <Badge tone="warn">expired</Badge>}
        </p>
        <p className="text-faint text-xs">
          {token.lastUsedAt ? (
            <>
              used <Ago at={token.lastUsedAt} />
            </>
          ) : (
            'never used'
          )}
          , {expired ? 'expired' : 'expires'} {token.expiresAt.toISOString().slice(0, 10)}
        </p>
      </div>
      <Button size="sm" onClick={onRevoke} aria-label={`Revoke ${token.name}`}>
        Revoke
      </Button>
    </li>
  );
}

function RevokeDialog({ token, onClose }: { token: Token | null; onClose: () => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const revoke = useMutation(
    trpc.account.revokeToken.mutationOptions({
      onSuccess: async () => {
        await queryClient.invalidateQueries({ queryKey: trpc.account.tokens.queryKey() });
        onClose();
      },
    }),
  );
  return (
    <ConfirmDialog
      open={token !== null}
      onClose={() => {
        revoke.reset();
        onClose();
      }}
      title={`Revoke ${token?.name ?? ''}?`}
      confirm="Revoke"
      danger
      busy={revoke.isPending}
      error={revoke.error}
      onConfirm={() => token && revoke.mutate({ tokenId: token.id })}
    >
      <p>Whatever signs in with it is refused from now on. This cannot be undone.</p>
    </ConfirmDialog>
  );
}

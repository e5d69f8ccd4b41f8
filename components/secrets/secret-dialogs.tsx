'use client';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { hostPatternSchema } from '../../server/egress/contract.ts';
import {
  SECRET_PURPOSES,
  type SecretInput,
  type SecretScheme,
  secretInputSchema,
  secretValueSchema,
} from '../../server/secrets/contract.ts';
import { type ApiError, useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { SelectField, TextField } from '../ui/field.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import type { SecretRow } from './secrets.tsx';

const EMPTY: SecretInput = {
  name: '',
  host: '',
  header: 'authorization',
  scheme: 'bearer',
  userName: '',
  value: '',
  plainHttp: false,
  purposes: ['session', 'template'],
};
const PURPOSE_LABELS = { session: 'Sessions', template: 'Templates (set-up)', check: 'Checks' } as const;

type Errors = Partial<Record<string, string>>;

function errorsOf(issues: readonly { path: PropertyKey[]; message: string }[] | undefined): Errors {
  const errors: Errors = {};
  for (const { path, message } of issues ?? []) errors[String(path[0])] ??= message;
  return errors;
}

export function NewSecretDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="New secret" className="w-[min(36rem,calc(100vw-2rem))]">
      <NewSecretForm onDone={onClose} />
    </Dialog>
  );
}

function NewSecretForm({ onDone }: { onDone: () => void }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [draft, setDraft] = useState(EMPTY);
  const [asked, setAsked] = useState(false);
  const create = useMutation(
    trpc.secrets.create.mutationOptions({
      onSuccess: async () => {
        await queryClient.invalidateQueries({ queryKey: trpc.secrets.pathKey() });
        onDone();
      },
    }),
  );
  const errors = errorsOf(secretInputSchema.safeParse(draft).error?.issues);
  const refused = (create.error?.data?.details as { field?: string } | undefined)?.field;
  const errorAt = (field: string) => (refused === field ? create.error?.message : asked ? errors[field] : null);
  const set = (change: Partial<SecretInput>) => {
    create.reset();
    setDraft((before) => ({ ...before, ...change }));
  };
  const host = hostPatternSchema.safeParse(draft.host);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    setAsked(true);
    if (Object.keys(errors).length === 0) create.mutate({ org: org.slug, secret: draft });
    else event.currentTarget.querySelector<HTMLElement>(`[name=${Object.keys(errors)[0]}]`)?.focus();
  }

  return (
    <form onSubmit={submit} noValidate autoComplete="off" className="flex flex-col gap-4">
      <TextField
        label="Name"
        name="name"
        value={draft.name}
        onChange={(event) => set({ name: event.target.value })}
        autoFocus
        error={errorAt('name')}
        hint="For people: what it is and whose."
      />
      <div className="grid gap-3 sm:grid-cols-2">
        <TextField
          label="Host"
          name="host"
          value={draft.host}
          onChange={(event) => set({ host: event.target.value })}
          autoCapitalize="off"
          spellCheck={false}
          className="font-mono text-xs"
          error={errorAt('host')}
          hint={
            host.success && host.data !== draft.host ? (
              <>
                Stored as <code className="break-all text-ink">{host.data}</code>
              </>
            ) : (
              'Exactly one, such as api.example.com.'
            )
          }
        />
        <TextField
          label="Header"
          name="header"
          value={draft.header}
          onChange={(event) => set({ header: event.target.value })}
          autoCapitalize="off"
          spellCheck={false}
          className="font-mono text-xs"
          error={errorAt('header')}
          hint="Replaces what the machine sends under it."
        />
      </div>
      <SelectField
        label="Form"
        name="scheme"
        value={draft.scheme}
        onChange={(event) => set({ scheme: event.target.value as SecretScheme })}
      >
        <option value="bearer">Bearer, then the value</option>
        <option value="basic">Basic: user name and value</option>
        <option value="raw">The value as it is</option>
      </SelectField>
      <ValueFields scheme={draft.scheme} draft={draft} set={set} errorAt={errorAt} />
      <fieldset className="flex flex-col gap-1">
        <legend className="mb-1 font-medium text-xs">Machines that use it</legend>
        <div className="flex flex-wrap gap-x-4 gap-y-1.5">
          {SECRET_PURPOSES.map((purpose) => (
            <label key={purpose} className="inline-flex cursor-pointer items-center gap-1.5 text-xs">
              <input
                type="checkbox"
                name="purposes"
                className="accent-accent-solid"
                checked={draft.purposes.includes(purpose)}
                onChange={({ target }) =>
                  set({
                    purposes: SECRET_PURPOSES.filter((one) => (one === purpose ? target.checked : draft.purposes.includes(one))),
                  })
                }
              />
              {PURPOSE_LABELS[purpose]}
            </label>
          ))}
        </div>
        {errorAt('purposes') && (
          <p role="alert" className="text-bad text-xs">
            {errorAt('purposes')}
          </p>
        )}
      </fieldset>
      <label className="inline-flex cursor-pointer items-start gap-2 text-xs">
        <input
          type="checkbox"
          className="mt-0.5 accent-accent-solid"
          checked={draft.plainHttp}
          onChange={({ target }) => set({ plainHttp: target.checked })}
        />
        <span>
          Send it over plain HTTP, too
          <span className="block text-faint">Anybody between this host and that one can read it there.</span>
        </span>
      </label>
      {create.error && !refused && <ErrorNote error={create.error} />}
      <Actions onCancel={onDone} busy={create.isPending} label="Add secret" />
    </form>
  );
}

export function ReplaceValueDialog({ secret, onClose }: { secret: SecretRow | null; onClose: () => void }) {
  return (
    <Dialog open={secret !== null} onClose={onClose} title="Replace the value">
      {secret && <ReplaceValueForm secret={secret} onDone={onClose} />}
    </Dialog>
  );
}

function ReplaceValueForm({ secret, onDone }: { secret: SecretRow; onDone: () => void }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [draft, setDraft] = useState({ userName: '', value: '' });
  const [asked, setAsked] = useState(false);
  const replace = useMutation(
    trpc.secrets.setValue.mutationOptions({
      onSuccess: async () => {
        await queryClient.invalidateQueries({ queryKey: trpc.secrets.pathKey() });
        onDone();
      },
    }),
  );
  const errors = errorsOf(secretValueSchema.safeParse(draft).error?.issues);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    setAsked(true);
    if (Object.keys(errors).length === 0) replace.mutate({ org: org.slug, secretId: secret.id, secret: draft });
  }

  return (
    <form onSubmit={submit} noValidate autoComplete="off" className="flex flex-col gap-4">
      <p className="text-muted">
        {secret.name}, for <code className="break-all text-ink text-xs">{secret.host}</code>. Running machines use the new value
        within seconds.
      </p>
      <ValueFields
        scheme={secret.scheme}
        draft={draft}
        set={(change) => setDraft((before) => ({ ...before, ...change }))}
        errorAt={(field) => (asked ? errors[field] : null)}
      />
      {replace.error && <ErrorNote error={replace.error as ApiError} />}
      <Actions onCancel={onDone} busy={replace.isPending} label="Replace" />
    </form>
  );
}

type ValueProps = {
  scheme: SecretScheme;
  draft: { userName?: string; value: string };
  set: (change: { userName?: string; value?: string }) => void;
  errorAt: (field: string) => string | null | undefined;
};

function ValueFields({ scheme, draft, set, errorAt }: ValueProps) {
  return (
    <>
      {scheme === 'basic' && (
        <TextField
          label="User name"
          name="userName"
          value={draft.userName}
          onChange={(event) => set({ userName: event.target.value })}
          autoComplete="off"
          error={errorAt('userName')}
        />
      )}
      <TextField
        label="Value"
        name="value"
        // Not a password of the person’s: browsers must not offer to keep it.
        type="text"
        autoComplete="off"
        spellCheck={false}
        value={draft.value}
        onChange={(event) => set({ value: event.target.value })}
        className="font-mono text-xs [-webkit-text-security:disc]"
        error={errorAt('value')}
        hint="Nobody can read it again, only replace it."
      />
    </>
  );
}

function Actions({ onCancel, busy, label }: { onCancel: () => void; busy: boolean; label: string }) {
  return (
    <div className="flex justify-end gap-2">
      <Button onClick={onCancel}>Cancel</Button>
      <Button type="submit" variant="primary" busy={busy}>
        {label}
      </Button>
    </div>
  );
}

'use client';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  SECRET_PURPOSES,
  type SecretInput,
  type SecretScheme,
  secretInputSchema,
  secretValueSchema,
} from '../../server/secrets/contract.ts';
import { useTRPC } from '../api/trpc.ts';
import { HostField } from '../egress/host-field.tsx';
import { useOrg } from '../layout/org-context.tsx';
import { CheckGroup } from '../ui/check-group.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { DialogForm, useFieldErrors } from '../ui/dialog-form.tsx';
import { SelectField, TextField } from '../ui/field.tsx';
import { errorsByField } from '../ui/field-errors.ts';
import type { SecretRow } from './secrets.tsx';
import { ValueFields } from './value-fields.tsx';

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
const PURPOSES = SECRET_PURPOSES.map((purpose) => ({ id: purpose, label: PURPOSE_LABELS[purpose] }));
const FIELDS = ['name', 'host', 'header', 'userName', 'value', 'purposes'];

export function NewSecretDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="New secret" wide>
      <NewSecretForm onDone={onClose} />
    </Dialog>
  );
}

/** Reads the list again and closes the dialog. */
function useSaved(onDone: () => void) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  return async () => {
    await queryClient.invalidateQueries({ queryKey: trpc.secrets.pathKey() });
    onDone();
  };
}

function NewSecretForm({ onDone }: { onDone: () => void }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const [draft, setDraft] = useState(EMPTY);
  const create = useMutation(trpc.secrets.create.mutationOptions({ onSuccess: useSaved(onDone) }));
  const fields = useFieldErrors(FIELDS, errorsByField(secretInputSchema.safeParse(draft).error?.issues), create.error);
  const set = (change: Partial<SecretInput>) => {
    create.reset();
    setDraft((before) => ({ ...before, ...change }));
  };

  return (
    <DialogForm
      fields={fields}
      onSend={() => create.mutate({ org: org.slug, secret: draft })}
      onCancel={onDone}
      action="Add secret"
      busy={create.isPending}
    >
      <TextField
        label="Name"
        name="name"
        value={draft.name}
        onChange={(event) => set({ name: event.target.value })}
        autoFocus
        error={fields.at('name')}
        hint="For people: what it is and whose."
      />
      <div className="grid gap-3 sm:grid-cols-2">
        <HostField
          value={draft.host}
          onChange={(host) => set({ host })}
          error={fields.at('host')}
          hint="Exactly one, such as api.example.com."
        />
        <TextField
          label="Header"
          name="header"
          value={draft.header}
          onChange={(event) => set({ header: event.target.value })}
          autoCapitalize="off"
          spellCheck={false}
          className="font-mono text-xs"
          error={fields.at('header')}
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
      <ValueFields scheme={draft.scheme} draft={draft} set={set} errorAt={fields.at} />
      <CheckGroup
        legend="Machines that use it"
        options={PURPOSES}
        value={draft.purposes}
        onChange={(purposes) => set({ purposes })}
        error={fields.at('purposes')}
      />
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
    </DialogForm>
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
  const [draft, setDraft] = useState({ userName: '', value: '' });
  const replace = useMutation(trpc.secrets.setValue.mutationOptions({ onSuccess: useSaved(onDone) }));
  const errors = errorsByField(secretValueSchema.safeParse(draft).error?.issues);
  const fields = useFieldErrors(['userName', 'value'], errors, replace.error);

  return (
    <DialogForm
      fields={fields}
      onSend={() => replace.mutate({ org: org.slug, secretId: secret.id, secret: draft })}
      onCancel={onDone}
      action="Replace"
      busy={replace.isPending}
    >
      <p className="text-muted">
        {secret.name}, for <code className="break-all text-ink text-xs">{secret.host}</code>. Running machines use the new value
        within seconds.
      </p>
      <ValueFields
        scheme={secret.scheme}
        draft={draft}
        set={(change) => {
          replace.reset();
          setDraft((before) => ({ ...before, ...change }));
        }}
        errorAt={fields.at}
      />
    </DialogForm>
  );
}

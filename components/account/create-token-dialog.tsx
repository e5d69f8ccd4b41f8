'use client';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { FormEvent } from 'react';
import { codeOf, useTRPC } from '../api/trpc.ts';
import { Button } from '../ui/button.tsx';
import { CommandBlock } from '../ui/command-block.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { SelectField, TextField } from '../ui/field.tsx';
import { ErrorNote } from '../ui/notes.tsx';

const LIFETIMES = [
  { days: 7, label: '7 days' },
  { days: 30, label: '30 days' },
  { days: 90, label: '90 days' },
  { days: 365, label: 'One year' },
] as const;
type Days = (typeof LIFETIMES)[number]['days'];

/** Asks what the token is for, then shows it: the only time that it can be read. */
export function CreateTokenDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const create = useMutation(
    trpc.account.createToken.mutationOptions({
      onSuccess: () => queryClient.invalidateQueries({ queryKey: trpc.account.tokens.queryKey() }),
    }),
  );
  const aboutName = codeOf(create.error) === 'bad_request';

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    create.mutate({
      name: String(data.get('name')),
      access: data.get('access') === 'write' ? 'write' : 'read',
      days: Number(data.get('days')) as Days,
    });
  }

  function close() {
    // The token leaves the page's memory with the dialog.
    create.reset();
    onClose();
  }

  return (
    <Dialog open={open} onClose={close} title={create.data ? 'Copy your token now' : 'New token'}>
      {create.data ? (
        <div className="flex flex-col gap-4">
          <p className="text-muted">
            It is shown this once. When git asks for a password, paste it; any user name will do. It works until{' '}
            {create.data.expiresAt.toISOString().slice(0, 10)}.
          </p>
          <CommandBlock label="Token" text={create.data.token} />
          <div className="flex justify-end">
            <Button variant="primary" onClick={close}>
              Done
            </Button>
          </div>
        </div>
      ) : (
        <form onSubmit={submit} noValidate className="flex flex-col gap-4">
          <TextField
            label="Name"
            name="name"
            autoFocus
            autoComplete="off"
            placeholder="laptop"
            error={aboutName ? create.error?.message : null}
          />
          <SelectField label="May" name="access" defaultValue="write">
            <option value="write">read and push</option>
            <option value="read">read only</option>
          </SelectField>
          <SelectField label="Works for" name="days" defaultValue={90}>
            {LIFETIMES.map(({ days, label }) => (
              <option key={days} value={days}>
                {label}
              </option>
            ))}
          </SelectField>
          {create.error && !aboutName && <ErrorNote error={create.error} />}
          <div className="flex justify-end gap-2">
            <Button onClick={close}>Cancel</Button>
            <Button type="submit" variant="primary" busy={create.isPending}>
              Create
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

'use client';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRouter } from 'next/navigation';
import { type FormEvent, useState } from 'react';
import { type ApiError, codeOf, useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { Button } from '../ui/button.tsx';
import { Choice } from '../ui/choice.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { TextField } from '../ui/field.tsx';
import { ErrorNote } from '../ui/notes.tsx';

const CONTENTS = [
  { id: 'sample', label: 'Sample', text: 'A small TypeScript shop with a failing test and a failing type check.' },
  { id: 'empty', label: 'Empty', text: 'No commits yet: its page says how to push yours.' },
] as const;
type Content = (typeof CONTENTS)[number]['id'];

/** What the name is to blame for shows at the name. */
function isAboutName(error: ApiError | null): boolean {
  return codeOf(error) === 'conflict' || codeOf(error) === 'bad_request';
}

export function CreateRepositoryDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { org } = useOrg();
  const router = useRouter();
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [content, setContent] = useState<Content>('sample');
  const create = useMutation(
    trpc.repositories.create.mutationOptions({
      onSuccess: async ({ slug }) => {
        await queryClient.invalidateQueries({ queryKey: trpc.repositories.list.pathKey() });
        router.push(`/${org.slug}/repositories/${slug}`);
      },
    }),
  );
  const aboutName = isAboutName(create.error);

  function close() {
    create.reset();
    onClose();
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get('name'));
    create.mutate({ org: org.slug, name, content });
  }

  return (
    <Dialog open={open} onClose={close} title="New repository">
      <form onSubmit={submit} noValidate className="flex flex-col gap-4">
        <TextField
          label="Name"
          name="name"
          autoFocus
          autoComplete="off"
          defaultValue={content === 'sample' ? 'Corner shop' : ''}
          error={aboutName ? create.error?.message.replace(/^name: /, '') : null}
        />
        <Choice legend="Starts with" name="content" value={content} options={CONTENTS} onChange={setContent} />
        {create.error && !aboutName && <ErrorNote error={create.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={close}>Cancel</Button>
          <Button type="submit" variant="primary" busy={create.isPending || create.isSuccess}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

'use client';
import { type KeyboardEvent, useState } from 'react';
import { Button } from '../ui/button.tsx';
import { TextArea } from '../ui/field.tsx';
import { ErrorNote } from '../ui/notes.tsx';

type Props = {
  label: string;
  hint?: string;
  send: (body: string) => void;
  busy: boolean;
  error: unknown;
  onCancel: () => void;
};

export function CommentForm({ label, hint, send, busy, error, onCancel }: Props) {
  const [body, setBody] = useState('');
  const canSend = body.trim() !== '' && !busy;

  function onKeyDown(event: KeyboardEvent) {
    // Arrow keys in the text must not move between the diff's lines.
    event.stopPropagation();
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && canSend) send(body);
    if (event.key === 'Escape' && body.trim() === '') onCancel();
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys pressed in the text area bubble up to here
    <div className="flex max-w-2xl flex-col gap-2" onKeyDown={onKeyDown}>
      <TextArea
        label={label}
        hint={hint}
        autoFocus
        rows={3}
        value={body}
        onChange={(event) => setBody(event.target.value)}
        placeholder="What should be different here?"
      />
      {error != null && <ErrorNote error={error} />}
      <div className="flex gap-2">
        <Button size="sm" variant="primary" disabled={!canSend} busy={busy} onClick={() => send(body)}>
          {label}
        </Button>
        <Button size="sm" variant="ghost" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </div>
  );
}

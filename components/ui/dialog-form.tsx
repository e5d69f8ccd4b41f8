'use client';
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import type { ApiError } from '../api/trpc.ts';
import { Button } from './button.tsx';
import { refusedField } from './field-errors.ts';
import { ErrorNote } from './notes.tsx';

type FieldErrors = {
  /** What to say at this field now. */
  at: (field: string) => string | null;
  /** The server's refusal when it is about no field that shows it. */
  elsewhere: ApiError | null;
  isRight: boolean;
  ask: () => void;
  /** Moves on whenever there is something new to look at. */
  turn: string;
};

/**
 * What is wrong with a form, and where. Its own `errors` show once it was sent, so that nobody is told off while typing; a
 * refusal shows at once. `fields` are those that have a place for it.
 */
export function useFieldErrors(
  fields: readonly string[],
  errors: Partial<Record<string, string>>,
  refusal: ApiError | null,
): FieldErrors {
  const [asked, setAsked] = useState(0);
  const found = refusedField(refusal);
  const refused = found && fields.includes(found.field) ? found : null;
  return {
    at: (field) => (refused?.field === field ? refused.message : asked > 0 ? (errors[field] ?? null) : null),
    elsewhere: refused ? null : refusal,
    isRight: Object.keys(errors).length === 0,
    ask: () => setAsked((count) => count + 1),
    turn: `${asked} ${refused?.field ?? ''}`,
  };
}

type Props = {
  fields: FieldErrors;
  /** Called when nothing is wrong with the fields. */
  onSend: () => void;
  onCancel: () => void;
  /** What the button that sends says. */
  action: string;
  busy: boolean;
  children: ReactNode;
};

/** The form in a dialog: the first field that is wrong gets the cursor, what went wrong shows above the buttons. */
export function DialogForm({ fields, onSend, onCancel, action, busy, children }: Props) {
  const form = useRef<HTMLFormElement>(null);
  // After the errors are drawn, which is after the click that asked for them.
  // biome-ignore lint/correctness/useExhaustiveDependencies: each turn has its own first field
  useEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }, [fields.turn]);

  function submit(event: FormEvent) {
    event.preventDefault();
    fields.ask();
    if (fields.isRight && !busy) onSend();
  }

  return (
    <form ref={form} onSubmit={submit} noValidate autoComplete="off" className="flex flex-col gap-4">
      {children}
      {fields.elsewhere && <ErrorNote error={fields.elsewhere} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onCancel}>Cancel</Button>
        <Button type="submit" variant="primary" busy={busy}>
          {action}
        </Button>
      </div>
    </form>
  );
}

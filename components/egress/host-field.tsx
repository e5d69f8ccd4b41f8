'use client';
import { hostPatternSchema } from '../../server/egress/contract.ts';
import { TextField } from '../ui/field.tsx';

type Props = { value: string; onChange: (value: string) => void; error: string | null; hint: string; autoFocus?: boolean };

/** A host as people type it, and as it will be stored where that is something else. */
export function HostField({ value, onChange, error, hint, autoFocus }: Props) {
  const read = hostPatternSchema.safeParse(value);
  return (
    <TextField
      label="Host"
      name="host"
      value={value}
      onChange={(event) => onChange(event.target.value)}
      autoFocus={autoFocus}
      autoComplete="off"
      autoCapitalize="off"
      spellCheck={false}
      className="font-mono text-xs"
      error={error}
      hint={
        read.success && read.data !== value ? (
          <>
            Stored as <code className="break-all text-ink">{read.data}</code>
          </>
        ) : (
          hint
        )
      }
    />
  );
}

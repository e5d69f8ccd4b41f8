import type { SecretScheme } from '../../server/secrets/contract.ts';
import { TextField } from '../ui/field.tsx';

type Props = {
  scheme: SecretScheme;
  draft: { userName?: string; value: string };
  set: (change: { userName?: string; value?: string }) => void;
  errorAt: (field: string) => string | null;
};

/** What is kept sealed: the value, and with `basic` the user name that goes with it. */
export function ValueFields({ scheme, draft, set, errorAt }: Props) {
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
          hint="Kept with the value, and like it never shown again."
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

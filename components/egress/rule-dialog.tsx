'use client';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';
import { EGRESS_METHODS } from '../../hostd/contract/egress.ts';
import { type ApiError, useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { Button } from '../ui/button.tsx';
import { Choice } from '../ui/choice.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { TextArea, TextField } from '../ui/field.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { NEW_RULE, type RuleDraft, type RuleField, readDraft } from './rule-draft.ts';

const MODES = [
  {
    id: 'splice',
    label: 'Splice',
    text: 'TLS goes through unread. Only host and port are ruled: the weaker one, for programs that bring certificates of their own.',
  },
  {
    id: 'inspect',
    label: 'Inspect',
    text: 'Every request is read on the host. Methods and paths can be ruled, and secrets added.',
  },
] as const;

type Props = {
  open: boolean;
  onClose: () => void;
  /** What the form begins with; a new rule when null. */
  draft: RuleDraft | null;
};

export function RuleDialog({ open, onClose, draft }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={draft?.ruleId ? 'Egress rule' : 'New egress rule'}
      className="w-[min(36rem,calc(100vw-2rem))]"
    >
      <RuleForm start={draft ?? NEW_RULE} onDone={onClose} />
    </Dialog>
  );
}

function RuleForm({ start, onDone }: { start: RuleDraft; onDone: () => void }) {
  const { org } = useOrg();
  const [draft, setDraft] = useState(start);
  const [asked, setAsked] = useState(false);
  const save = useSaveRule(draft, onDone);
  const { rule, errors, canonicalHost } = readDraft(draft);
  const refused = fieldOf(save.error);
  const errorAt = (field: RuleField) => (refused === field ? save.error?.message : asked ? errors[field] : null);
  const set = (change: Partial<RuleDraft>) => {
    save.reset();
    setDraft((before) => ({ ...before, ...change }));
  };

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    setAsked(true);
    if (Object.keys(errors).length === 0) save.mutate({ org: org.slug, rule, ruleId: draft.ruleId });
    else event.currentTarget.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }
  // The errors are drawn after the click that asked for them.
  useEffect(() => {
    if (asked) document.querySelector<HTMLElement>('dialog [aria-invalid]')?.focus();
  }, [asked]);

  const isRewritten = canonicalHost !== null && canonicalHost !== draft.host;
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4">
      <div className="flex flex-wrap gap-3 [&>*:first-child]:min-w-0 [&>*:first-child]:flex-[3_1_14rem] [&>*:last-child]:flex-[1_1_6rem]">
        <TextField
          label="Host"
          value={draft.host}
          onChange={(event) => set({ host: event.target.value })}
          autoFocus
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          className="font-mono text-xs"
          error={errorAt('host')}
          hint={
            isRewritten ? (
              <>
                Stored as <code className="break-all text-ink">{canonicalHost}</code>
              </>
            ) : (
              'api.example.com, or *.example.com for everything below it.'
            )
          }
        />
        <TextField
          label="Ports"
          value={draft.ports}
          onChange={(event) => set({ ports: event.target.value })}
          inputMode="numeric"
          autoComplete="off"
          className="font-mono text-xs"
          error={errorAt('ports')}
          hint="https is 443."
        />
      </div>
      <Choice
        legend="TLS"
        name="mode"
        value={draft.mode}
        options={MODES}
        onChange={(mode) => set({ mode })}
        error={errorAt('mode')}
      />
      {draft.mode === 'inspect' && (
        <>
          <fieldset className="flex flex-col gap-1">
            <legend className="mb-1 font-medium text-xs">Methods</legend>
            <div className="flex flex-wrap gap-x-4 gap-y-1.5">
              {EGRESS_METHODS.map((method) => (
                <label key={method} className="inline-flex cursor-pointer items-center gap-1.5 font-mono text-xs">
                  <input
                    type="checkbox"
                    className="accent-accent-solid"
                    checked={draft.methods.includes(method)}
                    onChange={({ target }) =>
                      set({
                        methods: EGRESS_METHODS.filter((one) => (one === method ? target.checked : draft.methods.includes(one))),
                      })
                    }
                  />
                  {method}
                </label>
              ))}
            </div>
            <p className="text-faint text-xs">
              {draft.methods.length === 0 ? 'None chosen: all are allowed.' : 'GET includes HEAD.'}
            </p>
          </fieldset>
          <TextArea
            label="Paths"
            value={draft.paths}
            onChange={(event) => set({ paths: event.target.value })}
            spellCheck={false}
            placeholder={'/v1/**\n/users/*/profile'}
            className="font-mono text-xs"
            error={errorAt('paths')}
            hint="One a line; none allows all. * is anything within a segment, ** any number of segments."
          />
          <label className="inline-flex cursor-pointer items-center gap-2 text-xs">
            <input
              type="checkbox"
              className="accent-accent-solid"
              checked={draft.webSocket}
              onChange={({ target }) => set({ webSocket: target.checked })}
            />
            Requests may become WebSocket connections
          </label>
        </>
      )}
      {save.error && !refused && <ErrorNote error={save.error} />}
      <p className="text-faint text-xs">
        An allowed host receives whatever a machine sends it. The rule reaches running machines within seconds.
      </p>
      <div className="flex justify-end gap-2">
        <Button onClick={onDone}>Cancel</Button>
        <Button type="submit" variant="primary" busy={save.isPending}>
          {draft.ruleId ? 'Save' : 'Add rule'}
        </Button>
      </div>
    </form>
  );
}

function useSaveRule(draft: RuleDraft, onDone: () => void) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const add = useMutation(trpc.egress.addRule.mutationOptions());
  const change = useMutation(trpc.egress.changeRule.mutationOptions());
  const done = {
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: trpc.egress.rules.pathKey() });
      onDone();
    },
  };
  const { error, isPending, reset } = draft.ruleId ? change : add;
  type Input = Parameters<typeof add.mutate>[0] & { ruleId: string | null };
  const mutate = ({ ruleId, ...input }: Input) => (ruleId ? change.mutate({ ...input, ruleId }, done) : add.mutate(input, done));
  return { error, isPending, reset, mutate };
}

/** The field a refusal is about. */
function fieldOf(error: ApiError | null): string | null {
  const details = error?.data?.details as { field?: string; issues?: { path: PropertyKey[] }[] } | undefined;
  return details?.field ?? (details?.issues?.[0]?.path[1] as string | undefined) ?? null;
}

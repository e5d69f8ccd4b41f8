'use client';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { EGRESS_METHODS } from '../../hostd/contract/egress.ts';
import { useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { CheckGroup } from '../ui/check-group.tsx';
import { Choice } from '../ui/choice.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { DialogForm, useFieldErrors } from '../ui/dialog-form.tsx';
import { TextArea, TextField } from '../ui/field.tsx';
import { HostField } from './host-field.tsx';
import { NEW_RULE, type RuleDraft, readDraft } from './rule-draft.ts';

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
const METHODS = EGRESS_METHODS.map((method) => ({ id: method, label: method }));
const FIELDS = ['host', 'ports', 'mode', 'methods', 'paths'];

type Props = {
  open: boolean;
  onClose: () => void;
  /** What the form begins with; a new rule when null. */
  draft: RuleDraft | null;
};

export function RuleDialog({ open, onClose, draft }: Props) {
  return (
    <Dialog open={open} onClose={onClose} title={draft?.ruleId ? 'Egress rule' : 'New egress rule'} wide>
      <RuleForm start={draft ?? NEW_RULE} onDone={onClose} />
    </Dialog>
  );
}

function RuleForm({ start, onDone }: { start: RuleDraft; onDone: () => void }) {
  const { org } = useOrg();
  const [draft, setDraft] = useState(start);
  const save = useSaveRule(draft, onDone);
  const { rule, errors } = readDraft(draft);
  const fields = useFieldErrors(FIELDS, errors, save.error);
  const set = (change: Partial<RuleDraft>) => {
    save.reset();
    setDraft((before) => ({ ...before, ...change }));
  };

  return (
    <DialogForm
      fields={fields}
      onSend={() => save.mutate({ org: org.slug, rule, ruleId: draft.ruleId })}
      onCancel={onDone}
      action={draft.ruleId ? 'Save' : 'Add rule'}
      busy={save.isPending}
    >
      <div className="flex flex-wrap gap-3 [&>*:first-child]:min-w-0 [&>*:first-child]:flex-[3_1_14rem] [&>*:last-child]:flex-[1_1_6rem]">
        <HostField
          value={draft.host}
          onChange={(host) => set({ host })}
          autoFocus
          error={fields.at('host')}
          hint="api.example.com, or *.example.com for everything below it."
        />
        <TextField
          label="Ports"
          name="ports"
          value={draft.ports}
          onChange={(event) => set({ ports: event.target.value })}
          inputMode="numeric"
          className="font-mono text-xs"
          error={fields.at('ports')}
          hint="https is 443."
        />
      </div>
      <Choice
        legend="TLS"
        name="mode"
        value={draft.mode}
        options={MODES}
        onChange={(mode) => set({ mode })}
        error={fields.at('mode')}
      />
      {draft.mode === 'inspect' && (
        <>
          <CheckGroup
            legend="Methods"
            options={METHODS}
            value={draft.methods}
            onChange={(methods) => set({ methods })}
            error={fields.at('methods')}
            hint={draft.methods.length === 0 ? 'None chosen: all are allowed.' : 'GET includes HEAD.'}
            mono
          />
          <TextArea
            label="Paths"
            name="paths"
            value={draft.paths}
            onChange={(event) => set({ paths: event.target.value })}
            spellCheck={false}
            placeholder={'/v1/**\n/users/*/profile'}
            className="font-mono text-xs"
            error={fields.at('paths')}
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
      <p className="text-faint text-xs">
        An allowed host receives whatever a machine sends it. The rule reaches running machines within seconds.
      </p>
    </DialogForm>
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

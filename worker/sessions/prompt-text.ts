import type { Message } from '../../prisma/generated/client.ts';

export type PromptFacts = { branch: string; defaultBranch: string; checks: { name: string; command: string }[] };

/**
 * What the agent is told. A task comes with the few rules that make its work arrive; later messages are given as they
 * are, because the agent still has the rules in its memory.
 */
export function promptText(message: Pick<Message, 'kind' | 'text'>, facts: PromptFacts, summary: string | null): string {
  const parts = [summary, message.text, message.kind === 'task' || summary ? workingRules(facts) : null];
  return parts.filter(Boolean).join('\n\n');
}

function workingRules({ branch, defaultBranch, checks }: PromptFacts): string {
  const listed = checks.map(({ name, command }) => `\`${command}\` (${name})`).join(', ');
  return [
    'How to work here:',
    `- You are in the repository’s root on branch \`${branch}\`, which is yours. Commit there and \`git push origin ${branch}\`; \`${defaultBranch}\` cannot be pushed to.`,
    '- Your push opens or updates a change for review. No pull request has to be made by hand.',
    listed ? `- These checks run on every push: ${listed}.` : '- This repository has no checks of its own.',
    '- When you have pushed, end your turn and do not wait: results and review comments are brought to you.',
  ].join('\n');
}

/** Told to an agent that lost its memory, in front of the next message: what went before, shortest form. */
export function summaryText(messages: Pick<Message, 'kind' | 'text' | 'reply'>[]): string | null {
  if (messages.length === 0) return null;
  const turns = messages.map(({ text, reply }) => `> ${clip(text, 1500)}\n\nYou answered: ${clip(reply ?? '(nothing)', 1500)}`);
  return [
    'The machine was started anew, so you do not remember this session. Its files are as you left them. What went before:',
    ...turns.slice(-6),
    'The next message:',
  ].join('\n\n');
}

const clip = (text: string, charsMax: number) => (text.length > charsMax ? `${text.slice(0, charsMax).toWellFormed()} …` : text);

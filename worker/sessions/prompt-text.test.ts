import { describe, expect, it } from 'vitest';
import { promptText, summaryText } from './prompt-text.ts';

const FACTS = { branch: 'warren/ses_1', defaultBranch: 'main', checks: [{ name: 'test', command: 'npm test' }] };

describe('promptText', () => {
  it('gives a task with the rules that make its work arrive', () => {
    const text = promptText({ kind: 'task', text: 'Fix it' }, FACTS, null);
    expect(text.startsWith('Fix it')).toBe(true);
    expect(text).toContain('git push origin warren/ses_1');
    expect(text).toContain('`npm test` (test)');
  });

  it.each(['message', 'check_failed', 'review_comment'] as const)('gives a %s as it is', (kind) => {
    expect(promptText({ kind, text: 'As it is' }, FACTS, null)).toBe('As it is');
  });

  it('tells an agent without memory what went before, and the rules again', () => {
    const summary = summaryText([{ kind: 'task', text: 'Fix it', reply: 'Fixed.' }]);
    const text = promptText({ kind: 'message', text: 'More' }, FACTS, summary);
    expect(text).toMatch(/Fix it.*You answered: Fixed\..*More.*git push/s);
  });

  it('has nothing to sum up at the start', () => {
    expect(summaryText([])).toBeNull();
  });
});

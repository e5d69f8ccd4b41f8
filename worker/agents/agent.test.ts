import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { agentEnvFile } from './agent.ts';
import { codexAgent } from './codex.ts';

describe('agentEnvFile', () => {
  it('keeps values as they are through the quoting of systemd', () => {
    const value = 'a "b" \\ c';
    const [line] = agentEnvFile({ name: 'x', model: { name: 'm', scripted: true }, command: value, env: {}, files: [] }).split(
      '\n',
    );
    // systemd's double quotes follow the shell's rules for these characters.
    expect(execFileSync('sh', ['-c', `${line}; printf %s "$AGENT_COMMAND"`]).toString()).toBe(value);
  });
});

describe('codexAgent', () => {
  it('asks our gateway, with no sandbox of its own and nothing sent elsewhere', () => {
    const text = codexAgent({ name: 'warren-demo', scripted: true }).files[0]?.text;
    expect(text).toContain('model = "warren-demo"');
    expect(text).toContain('base_url = "http://models.warren.internal/v1"');
    expect(text).toContain('sandbox_mode = "danger-full-access"');
    expect(text).toContain('[analytics]\nenabled = false');
  });

  it('knows which of its own messages tell people nothing', () => {
    const { noise } = codexAgent({ name: 'x', scripted: false });
    expect(
      noise?.test('Model metadata for `warren-demo` not found. Defaulting to fallback metadata; this can degrade performance'),
    ).toBe(true);
    expect(noise?.test('The model metadata was not found in the repository.')).toBe(false);
  });
});

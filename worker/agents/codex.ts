import type { AgentDefinition } from './agent.ts';

/**
 * Codex behind the native ACP adapter of the guest image: a native binary starts fast under emulation, a JavaScript one
 * does not. It needs no account: the model endpoint is ours, and the key is added outside the machine.
 * Its own sandbox and approvals are off, because the machine is the sandbox.
 */
export function codexAgent(model: AgentDefinition['model']): AgentDefinition {
  return {
    name: 'codex',
    model,
    command: 'codex-acp',
    env: { HOME: '/home/agent', RUST_LOG: 'error' },
    files: [{ path: '/home/agent/.codex/config.toml', text: config(model.name) }],
    instructionsPath: '/home/agent/.codex/AGENTS.md',
    // Said once per session about every model Codex was not built knowing.
    noise: /^Model metadata for `[^`]*` not found\./,
  };
}

const config = (model: string) => `model = ${JSON.stringify(model)}
model_provider = "warren"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
web_search = "disabled"

[analytics]
enabled = false

[model_providers.warren]
name = "Warren"
base_url = "http://models.warren.internal/v1"
wire_api = "responses"
request_max_retries = 2
stream_max_retries = 2
`;

/** Where model calls go. The key stays in this process. */
export type ModelProvider =
  | { kind: 'openai'; baseUrl: string; apiKey: string | null; model: string }
  /** Nothing is configured: answers come from the scripted model in demo/, which is no model at all. */
  | { kind: 'demo'; model: typeof DEMO_MODEL };

export const DEMO_MODEL = 'warren-demo';
export const OPENAI_BASE_URL = 'https://api.openai.com/v1';
/** Asked for where nothing else is set. */
export const OPENAI_MODEL = 'gpt-5.1-codex';

export type ProviderSettings = { OPENAI_API_KEY?: string; OPENAI_BASE_URL: string; WARREN_MODEL: string };

/** A key, or an address that is not OpenAI's own (a local endpoint may need no key), selects a real model. */
export function chooseProvider(settings: ProviderSettings): ModelProvider {
  const baseUrl = settings.OPENAI_BASE_URL.replace(/\/+$/, '');
  if (!settings.OPENAI_API_KEY && baseUrl === OPENAI_BASE_URL) return { kind: 'demo', model: DEMO_MODEL };
  return { kind: 'openai', baseUrl, apiKey: settings.OPENAI_API_KEY ?? null, model: settings.WARREN_MODEL };
}

/** What people are told about it. */
export function describeProvider(provider: ModelProvider): { provider: string; model: string; scripted: boolean } {
  return { provider: provider.kind, model: provider.model, scripted: provider.kind === 'demo' };
}

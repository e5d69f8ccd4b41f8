/** A coding agent that speaks the Agent Client Protocol v1 on stdio, as it is set up in a template's machine. */
export type AgentDefinition = {
  /** Shown to people and stored with sessions. */
  name: string;
  /** What it asks the model gateway for, as `files` and `env` set it up. */
  model: { name: string; scripted: boolean };
  /** What the agent unit runs. */
  command: string;
  /** Beyond what the image sets for every process: proxy, PATH, HOME. */
  env: Record<string, string>;
  /** Files written before it starts: absolute path and text, owned by the agent's user. */
  files: { path: string; text: string }[];
  /** Where it reads standing instructions of its user's, if it does. */
  instructionsPath?: string;
  /** Messages of the agent's own that tell people nothing; left out of the timeline, kept in the raw frames. */
  noise?: RegExp;
};

/** The text of the unit's environment file. Values are quoted as systemd reads them. */
export function agentEnvFile(agent: AgentDefinition): string {
  const quote = (value: string) => `"${value.replace(/[\\"$`]/g, '\\$&')}"`;
  return Object.entries({ AGENT_COMMAND: agent.command, ...agent.env })
    .map(([key, value]) => `${key}=${quote(value)}\n`)
    .join('');
}

import type { ImageVariant } from '../../hostd/contract/images.ts';
import type { AgentDefinition } from '../agents/agent.ts';

const DESKTOP = `# This machine

It has a desktop with a browser, which people can watch and use while you work.

- \`warren-browser open URL\` shows a page and waits until it has loaded. The first start takes long, minutes without hardware
  virtualisation. Servers in this machine are reached as http://localhost:PORT; other hosts as far as the proxy allows.
- \`warren-screenshot FILE.png\` writes what is on the screen. Look at the file instead of assuming.
- \`DISPLAY=:0 xdotool\` clicks and types. Chromium's DevTools protocol answers at http://127.0.0.1:9222.
- \`warren-browser close\` ends the browser and frees its memory. It need not be closed before the machine sleeps.
`;

const DOCKER = `# This machine

It has Docker, which starts when it is first asked for. You may use it without sudo.

- Images come through the proxy: \`docker pull\` works for registries that the organization's egress rules allow, and says so when
  one is refused. Registries often send blobs from other hosts, which need a rule too.
- Containers have no other way out either, and no DNS for names outside. They find the proxy at http://172.17.0.1:3128 and get
  \`HTTP_PROXY\` and the like for it from ~/.docker/config.json, builds too.
- To reach another container by HTTP under its name, leave the proxy out: \`NO_PROXY\` in the container, or the program's option.
- Hosts whose requests are inspected show a certificate of this machine's own authority, which containers do not know: mount
  /etc/ssl/certs/ca-certificates.crt there, read-only.
- Containers sleep and wake with the machine; they need not be stopped before.
`;

/** What an image can beyond the base, in words for the agent. */
const ABILITIES: Readonly<Record<ImageVariant, string | null>> = { base: null, desktop: DESKTOP, docker: DOCKER };

/** The agent with what it has to know of an image that can more than the base. */
export function withInstructions(agent: AgentDefinition, image: ImageVariant): AgentDefinition {
  const text = ABILITIES[image];
  if (text === null || agent.instructionsPath === undefined) return agent;
  return { ...agent, files: [...agent.files, { path: agent.instructionsPath, text }] };
}

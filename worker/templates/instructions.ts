import { hasDesktop, type ImageVariant } from '../../hostd/contract/images.ts';
import type { AgentDefinition } from '../agents/agent.ts';

const DESKTOP = `# This machine

It has a desktop with a browser, which people can watch and use while you work.

- \`warren-browser open URL\` shows a page and waits until it has loaded. The first start takes long, minutes without hardware
  virtualisation. Servers in this machine are reached as http://localhost:PORT; other hosts as far as the proxy allows.
- \`warren-screenshot FILE.png\` writes what is on the screen. Look at the file instead of assuming.
- \`DISPLAY=:0 xdotool\` clicks and types. Chromium's DevTools protocol answers at http://127.0.0.1:9222.
- \`warren-browser close\` ends the browser and frees its memory. It need not be closed before the machine sleeps.
`;

/** The agent with what it has to know of an image that can more than the base. */
export function withInstructions(agent: AgentDefinition, image: ImageVariant): AgentDefinition {
  if (!hasDesktop(image) || agent.instructionsPath === undefined) return agent;
  return { ...agent, files: [...agent.files, { path: agent.instructionsPath, text: DESKTOP }] };
}

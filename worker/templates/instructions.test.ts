import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { codexAgent } from '../agents/codex.ts';
import { withInstructions } from './instructions.ts';

const agent = codexAgent({ name: 'x', scripted: false });

describe('what an agent is told of its machine', () => {
  it('is nothing where there is nothing beyond the base', () => {
    expect(withInstructions(agent, 'base')).toBe(agent);
    const { instructionsPath: _, ...deaf } = agent;
    expect(withInstructions(deaf, 'desktop')).toBe(deaf);
  });

  it('names the commands that the image really has', async () => {
    const { files } = withInstructions(agent, 'desktop');
    expect(files).toHaveLength(agent.files.length + 1);
    const text = files.at(-1)?.text ?? '';
    expect(files.at(-1)?.path).toBe('/home/agent/.codex/AGENTS.md');
    const commands = await readdir(path.resolve(import.meta.dirname, '../../hostd/guest/image/rootfs-desktop/usr/local/bin'));
    for (const command of commands) expect(text).toContain(`\`${command}`);
    expect(commands.length).toBeGreaterThan(0);
  });

  it('names the address at which containers find the proxy', async () => {
    const text = withInstructions(agent, 'docker').files.at(-1)?.text ?? '';
    const root = path.resolve(import.meta.dirname, '../../hostd/guest/image/rootfs-docker');
    const config = JSON.parse(await readFile(path.join(root, 'etc/skel/.docker/config.json'), 'utf8'));
    expect(text).toContain(config.proxies.default.httpProxy);
  });
});

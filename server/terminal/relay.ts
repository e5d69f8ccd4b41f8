import type { Socket } from 'socket.io';
import { WebSocket } from 'ws';
import { GUEST, type PtyControl } from '../../hostd/contract/machines.ts';
import { recordAudit } from '../audit/record.ts';
import type { SignedInUser } from '../auth/session.ts';
import { withOrg } from '../db.ts';
import {
  type Ack,
  type ClientEvents,
  type ServerEvents,
  TERMINAL_WINDOW_CHARS,
  terminalConsumedSchema,
  terminalInputSchema,
  terminalOpenSchema,
  terminalRefSchema,
  terminalResizeSchema,
} from '../realtime/contract.ts';
import { endReason, openHostSocket } from '../realtime/host-socket.ts';
import { openMachinePath, refuse } from '../realtime/open-machine-path.ts';
import type { Services } from '../services.ts';
import { FlowControl } from './flow-control.ts';

/*
 * Terminals of one browser connection: bytes between the page and hostd, nothing kept. What survives a reload or a sleep
 * is tmux in the machine. Opening one is authorised each time; input for one that is not open is dropped.
 */
type Terminal = { orgId: string; orgSlug: string; sessionId: string; name: string; pty: WebSocket; flow: FlowControl };

const TERMINALS_MAX = 16;

export class TerminalRelay {
  readonly #services: Services;
  readonly #socket: Socket<ClientEvents, ServerEvents>;
  readonly #user: SignedInUser;
  readonly #terminals = new Map<string, Terminal>();

  constructor(services: Services, socket: Socket<ClientEvents, ServerEvents>, user: SignedInUser) {
    this.#services = services;
    this.#socket = socket;
    this.#user = user;
  }

  listen(): void {
    this.#socket.on('terminal.open', (input, ack) => {
      this.#open(input)
        .then(ack)
        .catch((err) => {
          this.#services.logger.warn({ event: 'terminal.open_failed', err }, 'terminal did not open');
          ack({ ok: false, code: 'unavailable', message: 'The machine did not open a terminal. Try again in a moment.' });
        });
    });
    this.#socket.on('terminal.input', (input) => {
      const parsed = terminalInputSchema.safeParse(input);
      if (parsed.success) this.#find(parsed.data)?.pty.send(Buffer.from(parsed.data.data));
    });
    this.#socket.on('terminal.resize', (input) => {
      const parsed = terminalResizeSchema.safeParse(input);
      if (!parsed.success) return;
      const control: PtyControl = { type: 'resize', cols: parsed.data.cols, rows: parsed.data.rows };
      this.#find(parsed.data)?.pty.send(JSON.stringify(control));
    });
    this.#socket.on('terminal.consumed', (input) => {
      const parsed = terminalConsumedSchema.safeParse(input);
      if (parsed.success) this.#find(parsed.data)?.flow.consumed(parsed.data.chars);
    });
    this.#socket.on('terminal.close', (input) => {
      const parsed = terminalRefSchema.safeParse(input);
      if (parsed.success) this.#close(keyOf(parsed.data));
    });
  }

  /** Slugs by id of the organizations something is open in. */
  orgSlugs(): Map<string, string> {
    return new Map([...this.#terminals.values()].map(({ orgId, orgSlug }) => [orgId, orgSlug]));
  }

  /** Closes every terminal, or those of one organization. */
  closeAll(orgId?: string): void {
    for (const [key, terminal] of this.#terminals) if (orgId === undefined || terminal.orgId === orgId) this.#close(key);
  }

  async #open(input: unknown): Promise<Ack> {
    const parsed = terminalOpenSchema.safeParse(input);
    if (!parsed.success) return refuse('bad_request', 'The terminal’s name or size is not valid.');
    const { orgSlug, sessionId, name, cols, rows } = parsed.data;
    const path = await openMachinePath(this.#services, this.#user, { orgSlug, sessionId, role: 'developer', what: 'A terminal' });
    if (!path.ok) return path;
    const { db, hosts } = this.#services;
    const { orgId, machine } = path;
    const key = keyOf({ sessionId, name });
    this.#close(key);
    if (this.#terminals.size >= TERMINALS_MAX) return refuse('bad_request', `At most ${TERMINALS_MAX} terminals can be open.`);

    const host = await hosts.client(machine.hostId);
    const request = { name, user: 'agent', cwd: GUEST.workspace, cols, rows } as const;
    const pty = await openHostSocket(host.pty(machine.machineId, request));
    if (!this.#socket.connected) {
      pty.close();
      return refuse('unavailable', 'The page has gone.');
    }
    await withOrg(db, orgId, (tx) =>
      recordAudit(tx, { orgId, actor: this.#user.id, action: 'terminal.opened', target: sessionId, details: { name } }),
    );
    this.#follow(key, { orgId, orgSlug, sessionId, name, pty, flow: new FlowControl(pty, TERMINAL_WINDOW_CHARS) });
    return { ok: true };
  }

  #follow(key: string, terminal: Terminal): void {
    const { orgId, sessionId, name, pty, flow } = terminal;
    this.#terminals.set(key, terminal);
    // Streaming: a character may be cut between two frames.
    const decoder = new TextDecoder();
    pty.on('message', (bytes: Buffer, isBinary: boolean) => {
      if (!isBinary) return;
      const data = decoder.decode(bytes, { stream: true });
      flow.sent(data.length);
      this.#socket.emit('terminal.output', { sessionId, name, data });
    });
    pty.on('error', (err) =>
      this.#services.logger.warn({ event: 'terminal.error', sessionId, err }, 'terminal connection failed'),
    );
    pty.on('close', (code) => {
      if (this.#terminals.get(key) !== terminal) return;
      this.#terminals.delete(key);
      endReason(this.#services, { orgId, sessionId }, code)
        .catch(() => 'lost' as const)
        .then((reason) => this.#socket.emit('terminal.ended', { sessionId, name, reason }));
    });
    pty.resume();
  }

  #find(ref: { sessionId: string; name: string }): Terminal | undefined {
    const terminal = this.#terminals.get(keyOf(ref));
    return terminal?.pty.readyState === WebSocket.OPEN ? terminal : undefined;
  }

  #close(key: string): void {
    const terminal = this.#terminals.get(key);
    this.#terminals.delete(key);
    terminal?.pty.close();
  }
}

function keyOf({ sessionId, name }: { sessionId: string; name: string }): string {
  return `${sessionId}/${name}`;
}

import type { Socket } from 'socket.io';
import type { z } from 'zod';
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
import { openHostSocket } from '../realtime/host-socket.ts';
import { type MachineSocket, MachineSockets } from '../realtime/machine-sockets.ts';
import { answer, openMachinePath, type Refusal, refuse } from '../realtime/open-machine-path.ts';
import type { Services } from '../services.ts';
import { FlowControl } from './flow-control.ts';

/*
 * Terminals of one browser connection: bytes between the page and hostd, nothing kept. What survives a reload or a sleep
 * is tmux in the machine. Opening one is authorised each time; input for one that is not open is dropped.
 */
type Terminal = MachineSocket & { name: string; flow: FlowControl; decoder: TextDecoder };
type OpenRequest = z.infer<typeof terminalOpenSchema>;

const TERMINALS_MAX = 16;

export class TerminalRelay {
  readonly #services: Services;
  readonly #socket: Socket<ClientEvents, ServerEvents>;
  readonly #user: SignedInUser;
  readonly #terminals: MachineSockets<Terminal>;

  constructor(services: Services, socket: Socket<ClientEvents, ServerEvents>, user: SignedInUser) {
    this.#services = services;
    this.#socket = socket;
    this.#user = user;
    this.#terminals = new MachineSockets({
      services,
      what: 'terminal',
      max: TERMINALS_MAX,
      onData: ({ sessionId, name, flow, decoder }, bytes, isBinary) => {
        if (!isBinary) return;
        const data = decoder.decode(bytes, { stream: true });
        flow.sent(data.length);
        socket.emit('terminal.output', { sessionId, name, data });
      },
      onEnd: ({ sessionId, name }, reason) => socket.emit('terminal.ended', { sessionId, name, reason }),
    });
  }

  listen(): void {
    this.#socket.on('terminal.open', (input, ack) => {
      this.#open(input)
        .then((reply) => answer(ack, reply))
        .catch((err) => {
          this.#services.logger.warn({ event: 'terminal.open_failed', err }, 'terminal did not open');
          answer(ack, { ok: false, code: 'unavailable', message: 'The machine did not open a terminal. Try again in a moment.' });
        });
    });
    this.#socket.on('terminal.input', (input) => {
      const parsed = terminalInputSchema.safeParse(input);
      if (parsed.success) this.#find(parsed.data)?.socket.send(Buffer.from(parsed.data.data));
    });
    this.#socket.on('terminal.resize', (input) => {
      const parsed = terminalResizeSchema.safeParse(input);
      if (!parsed.success) return;
      const control: PtyControl = { type: 'resize', cols: parsed.data.cols, rows: parsed.data.rows };
      this.#find(parsed.data)?.socket.send(JSON.stringify(control));
    });
    this.#socket.on('terminal.consumed', (input) => {
      const parsed = terminalConsumedSchema.safeParse(input);
      if (parsed.success) this.#find(parsed.data)?.flow.consumed(parsed.data.chars);
    });
    this.#socket.on('terminal.close', (input) => {
      const parsed = terminalRefSchema.safeParse(input);
      if (parsed.success) this.#terminals.close(keyOf(parsed.data));
    });
  }

  /** Slugs by id of the organizations something is open in. */
  orgSlugs(): Map<string, string> {
    return this.#terminals.orgSlugs();
  }

  /** Closes every terminal, or those of one organization. */
  closeAll(orgId?: string): void {
    if (orgId === undefined) this.#terminals.closeAll();
    else this.#terminals.closeWhere((terminal) => terminal.orgId === orgId);
  }

  async #open(input: unknown): Promise<Ack> {
    const parsed = terminalOpenSchema.safeParse(input);
    if (!parsed.success) return refuse('bad_request', 'The terminal’s name or size is not valid.');
    return this.#terminals.open(keyOf(parsed.data), () => this.#connect(parsed.data));
  }

  async #connect({ orgSlug, sessionId, name, cols, rows }: OpenRequest): Promise<Refusal | { ok: true; entry: Terminal }> {
    const { db, hosts } = this.#services;
    const path = await openMachinePath(this.#services, this.#user, { orgSlug, sessionId, role: 'developer', what: 'A terminal' });
    if (!path.ok) return path;
    const { orgId, machine } = path;
    const host = await hosts.client(machine.hostId);
    const request = { name, user: 'agent', cwd: GUEST.workspace, cols, rows } as const;
    const socket = await openHostSocket(host.pty(machine.machineId, request));
    const entry = { orgId, actor: this.#user.id, action: 'terminal.opened', target: sessionId, details: { name } } as const;
    await withOrg(db, orgId, (tx) => recordAudit(tx, entry)).catch((error) => {
      socket.terminate();
      throw error;
    });
    const flow = new FlowControl(socket, TERMINAL_WINDOW_CHARS);
    // Streaming: a character may be cut between two frames.
    return { ok: true, entry: { orgId, orgSlug, sessionId, name, socket, flow, decoder: new TextDecoder() } };
  }

  #find(ref: { sessionId: string; name: string }): Terminal | undefined {
    return this.#terminals.find(keyOf(ref));
  }
}

function keyOf({ sessionId, name }: { sessionId: string; name: string }): string {
  return `${sessionId}/${name}`;
}

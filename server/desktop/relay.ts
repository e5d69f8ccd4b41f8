import type { Socket } from 'socket.io';
import { recordAudit } from '../audit/record.ts';
import { hasRole } from '../auth/roles.ts';
import type { SignedInUser } from '../auth/session.ts';
import { withOrg } from '../db.ts';
import {
  type Ack,
  type ClientEvents,
  DESKTOP_WINDOW_BYTES,
  desktopConsumedSchema,
  desktopInputSchema,
  desktopOpenSchema,
  desktopRefSchema,
  type ServerEvents,
} from '../realtime/contract.ts';
import { openHostSocket } from '../realtime/host-socket.ts';
import { type MachineSocket, MachineSockets } from '../realtime/machine-sockets.ts';
import { answer, openMachinePath, type Refusal, refuse } from '../realtime/open-machine-path.ts';
import type { Services } from '../services.ts';
import { FlowControl } from '../terminal/flow-control.ts';

/*
 * Desktops of one browser connection: RFB bytes between the page and hostd, nothing kept. Everybody in the organization may look;
 * whether input passes is decided here, once, by role, and enforced by hostd message by message.
 */
type Desktop = MachineSocket & { viewOnly: boolean; flow: FlowControl };

const DESKTOPS_MAX = 4;

export class DesktopRelay {
  readonly #services: Services;
  readonly #socket: Socket<ClientEvents, ServerEvents>;
  readonly #user: SignedInUser;
  readonly #desktops: MachineSockets<Desktop>;

  constructor(services: Services, socket: Socket<ClientEvents, ServerEvents>, user: SignedInUser) {
    this.#services = services;
    this.#socket = socket;
    this.#user = user;
    this.#desktops = new MachineSockets({
      services,
      what: 'desktop',
      max: DESKTOPS_MAX,
      onData: ({ sessionId, flow }, data) => {
        flow.sent(data.length);
        socket.emit('desktop.output', { sessionId, data });
      },
      onEnd: ({ sessionId }, reason) => socket.emit('desktop.ended', { sessionId, reason }),
    });
  }

  listen(): void {
    this.#socket.on('desktop.open', (input, ack) => {
      this.#open(input)
        .then((reply) => answer(ack, reply))
        .catch((err) => {
          this.#services.logger.warn({ event: 'desktop.open_failed', err }, 'desktop did not open');
          answer(ack, refuse('unavailable', 'The machine did not show its desktop. Try again in a moment.'));
        });
    });
    this.#socket.on('desktop.input', (input) => {
      const parsed = desktopInputSchema.safeParse(input);
      if (parsed.success) this.#desktops.find(parsed.data.sessionId)?.socket.send(parsed.data.data);
    });
    this.#socket.on('desktop.consumed', (input) => {
      const parsed = desktopConsumedSchema.safeParse(input);
      if (parsed.success) this.#desktops.find(parsed.data.sessionId)?.flow.consumed(parsed.data.bytes);
    });
    this.#socket.on('desktop.close', (input) => {
      const parsed = desktopRefSchema.safeParse(input);
      if (parsed.success) this.#desktops.close(parsed.data.sessionId);
    });
  }

  /** Slugs by id of the organizations something is open in. */
  orgSlugs(): Map<string, string> {
    return this.#desktops.orgSlugs();
  }

  /** Closes every desktop, or those of one organization. */
  closeAll(orgId?: string): void {
    if (orgId === undefined) this.#desktops.closeAll();
    else this.#desktops.closeWhere((desktop) => desktop.orgId === orgId);
  }

  /** Closes those of one organization that carry input. */
  closeControlled(orgId: string): void {
    this.#desktops.closeWhere((desktop) => desktop.orgId === orgId && !desktop.viewOnly);
  }

  async #open(input: unknown): Promise<Ack> {
    const parsed = desktopOpenSchema.safeParse(input);
    if (!parsed.success) return refuse('bad_request', 'Say which session.');
    return this.#desktops.open(parsed.data.sessionId, () => this.#connect(parsed.data));
  }

  async #connect(ref: { orgSlug: string; sessionId: string }): Promise<Refusal | { ok: true; entry: Desktop }> {
    const { db, hosts } = this.#services;
    const path = await openMachinePath(this.#services, this.#user, { ...ref, role: 'viewer', what: 'The desktop' });
    if (!path.ok) return path;
    const { orgId, orgSlug, machine } = path;
    const { sessionId } = ref;
    const viewOnly = !hasRole(path.role, 'developer');
    const host = await hosts.client(machine.hostId);
    const socket = await openHostSocket(host.desktop(machine.machineId, { viewOnly }));
    const entry = { orgId, actor: this.#user.id, action: 'desktop.opened', target: sessionId, details: { viewOnly } } as const;
    await withOrg(db, orgId, (tx) => recordAudit(tx, entry)).catch((error) => {
      socket.terminate();
      throw error;
    });
    const flow = new FlowControl(socket, DESKTOP_WINDOW_BYTES);
    return { ok: true, entry: { orgId, orgSlug, sessionId, viewOnly, socket, flow } };
  }
}

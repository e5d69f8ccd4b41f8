import type { Socket } from 'socket.io';
import { WebSocket } from 'ws';
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
import { endReason, openHostSocket } from '../realtime/host-socket.ts';
import { openMachinePath, refuse } from '../realtime/open-machine-path.ts';
import type { Services } from '../services.ts';
import { FlowControl } from '../terminal/flow-control.ts';

/*
 * Desktops of one browser connection: RFB bytes between the page and hostd, nothing kept. Everybody in the organization may look;
 * whether input passes is decided here, once, by role, and enforced by hostd message by message.
 */
type Desktop = { orgId: string; orgSlug: string; sessionId: string; viewOnly: boolean; vnc: WebSocket; flow: FlowControl };

const DESKTOPS_MAX = 4;

export class DesktopRelay {
  readonly #services: Services;
  readonly #socket: Socket<ClientEvents, ServerEvents>;
  readonly #user: SignedInUser;
  readonly #desktops = new Map<string, Desktop>();
  /** The newest wish to open a session's desktop. One that was withdrawn or repeated meanwhile is not followed. */
  readonly #wishes = new Map<string, symbol>();

  constructor(services: Services, socket: Socket<ClientEvents, ServerEvents>, user: SignedInUser) {
    this.#services = services;
    this.#socket = socket;
    this.#user = user;
  }

  listen(): void {
    this.#socket.on('desktop.open', (input, ack) => {
      this.#open(input)
        .then(ack)
        .catch((err) => {
          this.#services.logger.warn({ event: 'desktop.open_failed', err }, 'desktop did not open');
          ack(refuse('unavailable', 'The machine did not show its desktop. Try again in a moment.'));
        });
    });
    this.#socket.on('desktop.input', (input) => {
      const parsed = desktopInputSchema.safeParse(input);
      if (parsed.success) this.#find(parsed.data.sessionId)?.vnc.send(parsed.data.data);
    });
    this.#socket.on('desktop.consumed', (input) => {
      const parsed = desktopConsumedSchema.safeParse(input);
      if (parsed.success) this.#find(parsed.data.sessionId)?.flow.consumed(parsed.data.bytes);
    });
    this.#socket.on('desktop.close', (input) => {
      const parsed = desktopRefSchema.safeParse(input);
      if (parsed.success) this.#close(parsed.data.sessionId);
    });
  }

  /** Slugs by id of the organizations something is open in. */
  orgSlugs(): Map<string, string> {
    return new Map([...this.#desktops.values()].map(({ orgId, orgSlug }) => [orgId, orgSlug]));
  }

  /** Closes every desktop, or those of one organization. */
  closeAll(orgId?: string): void {
    for (const [key, desktop] of this.#desktops) if (orgId === undefined || desktop.orgId === orgId) this.#close(key);
  }

  /** Closes those of one organization that carry input. */
  closeControlled(orgId: string): void {
    for (const [key, desktop] of this.#desktops) if (desktop.orgId === orgId && !desktop.viewOnly) this.#close(key);
  }

  async #open(input: unknown): Promise<Ack> {
    const parsed = desktopOpenSchema.safeParse(input);
    if (!parsed.success) return refuse('bad_request', 'Say which session.');
    const { sessionId } = parsed.data;
    this.#close(sessionId);
    if (this.#wishes.size + this.#desktops.size >= DESKTOPS_MAX)
      return refuse('bad_request', `At most ${DESKTOPS_MAX} desktops can be open.`);
    const wish = Symbol(sessionId);
    this.#wishes.set(sessionId, wish);
    const isWanted = () => this.#socket.connected && this.#wishes.get(sessionId) === wish;
    try {
      return await this.#connect(parsed.data, isWanted);
    } finally {
      if (this.#wishes.get(sessionId) === wish) this.#wishes.delete(sessionId);
    }
  }

  async #connect(ref: { orgSlug: string; sessionId: string }, isWanted: () => boolean): Promise<Ack> {
    const { db, hosts } = this.#services;
    const path = await openMachinePath(this.#services, this.#user, { ...ref, role: 'viewer', what: 'The desktop' });
    if (!path.ok) return path;
    const { orgId, orgSlug, machine } = path;
    const { sessionId } = ref;
    const viewOnly = !hasRole(path.role, 'developer');
    const host = await hosts.client(machine.hostId);
    const vnc = await openHostSocket(host.desktop(machine.machineId, { viewOnly }));
    const entry = { orgId, actor: this.#user.id, action: 'desktop.opened', target: sessionId, details: { viewOnly } } as const;
    await withOrg(db, orgId, (tx) => recordAudit(tx, entry)).catch((error) => {
      vnc.terminate();
      throw error;
    });
    if (!isWanted()) {
      vnc.terminate();
      return refuse('unavailable', 'The page no longer wants it.');
    }
    this.#follow(sessionId, { orgId, orgSlug, sessionId, viewOnly, vnc, flow: new FlowControl(vnc, DESKTOP_WINDOW_BYTES) });
    return { ok: true };
  }

  #follow(key: string, desktop: Desktop): void {
    const { sessionId, vnc, flow } = desktop;
    this.#desktops.set(key, desktop);
    vnc.on('message', (data: Buffer) => {
      // What was on its way when another was opened in its place would break that one's stream.
      if (this.#desktops.get(key) !== desktop) return;
      flow.sent(data.length);
      this.#socket.emit('desktop.output', { sessionId, data });
    });
    vnc.on('error', (err) => this.#services.logger.warn({ event: 'desktop.error', sessionId, err }, 'desktop connection failed'));
    vnc.on('close', (code) => {
      if (this.#desktops.get(key) !== desktop) return;
      this.#desktops.delete(key);
      endReason(this.#services, desktop, code)
        .catch(() => 'lost' as const)
        .then((reason) => this.#socket.emit('desktop.ended', { sessionId, reason }));
    });
    vnc.resume();
  }

  #find(key: string): Desktop | undefined {
    const desktop = this.#desktops.get(key);
    return desktop?.vnc.readyState === WebSocket.OPEN ? desktop : undefined;
  }

  #close(key: string): void {
    this.#wishes.delete(key);
    const desktop = this.#desktops.get(key);
    this.#desktops.delete(key);
    desktop?.vnc.close();
  }
}

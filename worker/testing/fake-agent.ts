import { GUEST } from '../../hostd/contract/machines.ts';
import type { FakeHost } from '../../server/hosts/fake/fake-host.ts';
import { FakeExit, type FakeGuest } from '../../server/hosts/fake/fake-machine.ts';

type ReceivedFrame = { method?: string; id?: number; result?: unknown; params?: { prompt?: { text: string }[] } };
type AgentState = { pid: number; startTimeTicks: string; alive: boolean; sessions: number; memory: string[] };

/** One prompt as the fake agent got it, and what it can do about it. */
export type FakeTurn = {
  text: string;
  /** Prompts this agent's conversation remembers, this one included. */
  memory: string[];
  say: (text: string) => void;
  tool: (toolCallId: string, status: string, output?: string) => void;
  /** Anything else on its stdout, newline included or not. */
  raw: (text: string) => void;
  askPermission: (id: string) => void;
  end: (stopReason?: string) => void;
  refuse: (message: string) => void;
  /** Its process ends, in the middle of whatever it was writing. */
  crash: () => void;
};

/**
 * A deterministic agent in the fake host's guests: it speaks the protocol over the same files and scripts as a real one,
 * and does on a prompt what the test says. Its state lives in the guest's memory, so a snapshot carries it.
 */
export class FakeAgent {
  /** Every line written to an agent's stdin, as parsed. */
  readonly received: ReceivedFrame[] = [];
  loadSession = true;
  /** False: it starts and never says a word. */
  answers = true;
  onPrompt: (turn: FakeTurn, guest: FakeGuest) => void = (turn) => {
    turn.say('Done.');
    turn.end();
  };
  onAnswer: (result: unknown) => void = () => {};
  onCancel: (guest: FakeGuest) => void = () => {};
  private pids = 100;

  install(fake: FakeHost) {
    const programs: Record<string, (guest: FakeGuest, args: string[], stdin: string) => string> = {
      'warren-sight-agent': (guest) => this.sight(guest),
      'warren-send-line': (guest, [key = ''], stdin) => this.send(guest, key, stdin),
      'warren-restart-agent': (guest) => this.start(guest),
      'warren-end-agent': (guest) => this.end(guest),
      'warren-start-agent': (guest) => this.start(guest),
      'warren-agent-stdout-bytes': (guest) => String(guest.files.get(GUEST.agentStdout)?.byteLength ?? 0),
      'warren-agent-stderr': () => 'panic: fake',
      'warren-make-directory': () => '',
      'warren-clone-workspace': () => '',
      'warren-prepare-branch': () => '',
      'warren-checkout-commit': () => '',
      'warren-capture-worktree': () => 'c0ffee\n M src/a.ts\n\ndiff --git a/src/a.ts b/src/a.ts\n',
      'warren-run-logged': (guest, [path = '', command = '']) => runCommand(guest, path, command),
    };
    for (const [name, program] of Object.entries(programs)) {
      fake.programs.set(name, (guest, { args, stdin }) => program(guest, args, stdin));
    }
  }

  state(guest: FakeGuest): AgentState | null {
    return (guest.memory.get('agent') as AgentState | undefined) ?? null;
  }

  crash(guest: FakeGuest) {
    const state = this.state(guest);
    if (state) state.alive = false;
  }

  private end(guest: FakeGuest): string {
    this.crash(guest);
    return '';
  }

  private start(guest: FakeGuest): string {
    this.pids += 1;
    guest.append(GUEST.agentStdout, '\n');
    guest.memory.set('agent', { pid: this.pids, startTimeTicks: String(this.pids * 7), alive: true, sessions: 0, memory: [] });
    return '';
  }

  private sight(guest: FakeGuest): string {
    const state = this.state(guest);
    return state?.alive ? `${guest.bootId} ${state.pid} ${state.startTimeTicks}` : guest.bootId;
  }

  private send(guest: FakeGuest, key: string, stdin: string): string {
    const sent = (guest.memory.get('sent') as Set<string> | undefined) ?? new Set<string>();
    guest.memory.set('sent', sent);
    if (sent.has(key)) return 'already';
    const state = this.state(guest);
    if (!state?.alive) throw new FakeExit(1, 'no reader');
    sent.add(key);
    const frame = JSON.parse(stdin) as ReceivedFrame;
    this.received.push(frame);
    // As in a real guest, the answer comes after the write.
    setImmediate(() => this.react(guest, state, frame));
    return 'written';
  }

  private react(guest: FakeGuest, state: AgentState, frame: ReceivedFrame) {
    const reply = (result: unknown) => this.write(guest, { jsonrpc: '2.0', id: frame.id, result });
    if (!this.answers) return;
    switch (frame.method) {
      case 'initialize':
        return reply({
          protocolVersion: 1,
          agentCapabilities: { loadSession: this.loadSession },
          agentInfo: { name: 'fake', version: '1' },
        });
      case 'session/new':
        state.sessions += 1;
        return reply({ sessionId: `s${state.pid}-${state.sessions}` });
      case 'session/load':
        return reply(null);
      case 'session/cancel':
        return this.onCancel(guest);
      case 'session/prompt':
        return this.onPrompt(this.turn(guest, state, frame.id!, frame.params?.prompt?.[0]?.text ?? ''), guest);
      default:
        return this.onAnswer(frame.result);
    }
  }

  turn(guest: FakeGuest, state: AgentState, id: number, text: string): FakeTurn {
    state.memory.push(text);
    const update = (body: object) =>
      this.write(guest, { jsonrpc: '2.0', method: 'session/update', params: { sessionId: 's', update: body } });
    return {
      text,
      memory: state.memory,
      say: (words) => update({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: words } }),
      tool: (toolCallId, status, output) =>
        update({
          sessionUpdate: status === 'pending' ? 'tool_call' : 'tool_call_update',
          toolCallId,
          title: 'Run',
          status,
          ...(output ? { content: [{ type: 'content', content: { type: 'text', text: output } }] } : {}),
        }),
      raw: (words) => guest.append(GUEST.agentStdout, words),
      askPermission: (requestId) =>
        this.write(guest, {
          jsonrpc: '2.0',
          id: requestId,
          method: 'session/request_permission',
          params: { sessionId: 's', toolCall: {}, options: [{ optionId: 'yes', kind: 'allow_once', name: 'Yes' }] },
        }),
      end: (stopReason = 'end_turn') => this.write(guest, { jsonrpc: '2.0', id, result: { stopReason } }),
      refuse: (message) => this.write(guest, { jsonrpc: '2.0', id, error: { code: -32603, message } }),
      crash: () => this.crash(guest),
    };
  }

  private write(guest: FakeGuest, frame: unknown) {
    guest.append(GUEST.agentStdout, `${JSON.stringify(frame)}\n`);
  }
}

/** `fail N` fails, everything else prints itself. */
function runCommand(guest: FakeGuest, path: string, command: string): string {
  guest.append(path, `ran ${command}\n`);
  const code = /^fail (\d+)/.exec(command)?.[1];
  if (code) throw new FakeExit(Number(code), '');
  return String(guest.files.get(path)?.byteLength ?? 0);
}

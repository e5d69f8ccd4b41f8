import type { GuestMachine, GuestSide } from '../guest-port.ts';

/** Remembers what it was told, in order. */
export class FakeGuestSide implements GuestSide {
  readonly calls: string[] = [];
  readonly machines = new Map<string, GuestMachine>();
  carried: string | null = 'SSH-2.0-Fake\r\n';
  onReady: () => void = () => {};

  async attach(machine: GuestMachine): Promise<void> {
    this.calls.push(`attach ${machine.origin}`);
    this.machines.set(machine.machineId, machine);
  }

  async ready(machine: GuestMachine): Promise<void> {
    this.calls.push('ready');
    this.machines.set(machine.machineId, machine);
    this.onReady();
  }

  async beforeSuspend(): Promise<string | null> {
    this.calls.push('beforeSuspend');
    return this.carried;
  }

  gone(machineId: string): void {
    this.calls.push('gone');
    this.machines.delete(machineId);
  }

  egressChanged(machine: GuestMachine): void {
    this.calls.push('egressChanged');
    this.machines.set(machine.machineId, machine);
  }
}

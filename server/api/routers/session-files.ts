import { z } from 'zod';
import { recordAudit } from '../../audit/record.ts';
import { notFound } from '../../errors.ts';
import { captureWorktree, type Worktree, worktreeSchema } from '../../hosts/capture-worktree.ts';
import {
  findLiveMachine,
  readMachineFile,
  requireLiveMachine,
  workspacePath,
  writeMachineFile,
} from '../../sessions/machine-files.ts';
import { orgProcedure } from '../trpc.ts';
import { sessionInput } from './session-input.ts';

const pathInput = z.object({ path: z.string().max(1000) });

/** Procedures of sessions that look into the machine. All but `worktree` need it awake. */
export const sessionFiles = {
  files: orgProcedure('viewer')
    .input(sessionInput.extend(pathInput.shape))
    .query(async ({ ctx, input }) => {
      const machine = await ctx.withOrg((tx) => requireLiveMachine(tx, input.sessionId));
      const host = await ctx.services.hosts.client(machine.hostId);
      return host.files(machine.machineId, workspacePath(input.path));
    }),

  readFile: orgProcedure('viewer')
    .input(sessionInput.extend(pathInput.shape))
    .query(async ({ ctx, input }) => {
      const machine = await ctx.withOrg((tx) => requireLiveMachine(tx, input.sessionId));
      return readMachineFile(await ctx.services.hosts.client(machine.hostId), machine.machineId, input.path);
    }),

  writeFile: orgProcedure('developer')
    .input(sessionInput.extend(pathInput.shape).extend({ text: z.string(), expectedSha: z.string().length(64).optional() }))
    .mutation(async ({ ctx, input }) => {
      const machine = await ctx.withOrg((tx) => requireLiveMachine(tx, input.sessionId));
      const host = await ctx.services.hosts.client(machine.hostId);
      const written = await writeMachineFile(host, machine.machineId, input);
      const entry = { orgId: ctx.org.id, actor: ctx.user.id, target: input.sessionId, details: { path: input.path } };
      await ctx.withOrg(async (tx) => {
        await recordAudit(tx, { ...entry, action: 'file.written' });
        await tx.session.update({ where: { id: input.sessionId }, data: { activeAt: ctx.services.clock.now() } });
      });
      return written;
    }),

  /** Uncommitted changes: read from the machine when it is awake, else as kept when it fell asleep. */
  worktree: orgProcedure('viewer')
    .input(sessionInput)
    .query(async ({ ctx, input }): Promise<{ live: boolean; worktree: Worktree | null }> => {
      const { machine, stored } = await ctx.withOrg(async (tx) => {
        const session = await tx.session.findUnique({ where: { id: input.sessionId }, select: { worktree: true } });
        if (!session) throw notFound('session');
        return { machine: await findLiveMachine(tx, input.sessionId), stored: session.worktree };
      });
      if (!machine) return { live: false, worktree: worktreeSchema.nullable().parse(stored) };
      const host = await ctx.services.hosts.client(machine.hostId);
      return { live: true, worktree: await captureWorktree(host, machine.machineId, ctx.services.clock.now()) };
    }),
};

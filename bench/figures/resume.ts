import type { Figures } from '../goals.ts';
import { bootPlain, LoadvmSide, makeDisk, type PlainGuest } from '../peers/loadvm.ts';
import type { Side, WakeTimes } from '../side.ts';
import { orderOfRound, type Ratio, ratioOfPairs, summarize } from '../stats.ts';
import type { WarrenSide } from '../warren-side.ts';

export type ResumeResult = {
  figures: Figures;
  ratios: Record<string, Ratio>;
  samples: Record<string, number[]>;
  awakeReplyMs: number;
  savevmMs: number[];
  notes: string[];
};

type Options = {
  pairs: number;
  coldPairs: number;
  subject: WarrenSide;
  peers: Side[];
  plain: PlainGuest;
  note: (line: string) => void;
};

/**
 * Every side wakes and sleeps once a round, one after the other, in an order that turns around each round. The first round only
 * warms up. The subject also wakes a second time per round, against itself.
 */
export async function measureResume({ pairs, coldPairs, subject, peers, plain, note }: Options): Promise<ResumeResult> {
  const sides = [subject, ...peers];
  const samples: Record<string, number[]> = { warrenAgain: [], coldBoot: [], suspend: [], managedsave: [] };
  for (const side of sides) samples[side.name] = [];
  const cycle = async (side: Side): Promise<WakeTimes & { releasedMs: number }> => {
    const woke = await side.wake();
    return { ...woke, ...(await side.sleep()) };
  };
  const awake: number[] = [];
  const steps: Record<string, number>[] = [];

  note('one round to warm up');
  for (const side of sides) await cycle(side);
  const coldDisk = coldPairs > 0 ? await makeDisk(plain, 'cold') : '';
  for (let round = 0; round < pairs; round += 1) {
    note(`round ${round + 1} of ${pairs}`);
    for (const side of orderOfRound(sides, round)) {
      const took = await cycle(side);
      samples[side.name]!.push(took.replyMs);
      if (side.name === 'libvirt') samples.managedsave!.push(took.releasedMs);
      if (side === subject) {
        samples.suspend!.push(took.releasedMs);
        if (took.steps) steps.push(took.steps);
        samples.warrenAgain!.push((await cycle(side)).replyMs);
      }
    }
    if (round < coldPairs) {
      const { vm, replyMs } = await bootPlain(plain, coldDisk);
      samples.coldBoot!.push(replyMs);
      await vm.quit();
    }
  }
  await subject.wake();
  for (let n = 0; n < 5; n += 1) awake.push(await subject.awakeReply());
  await subject.sleep();

  const own = samples[subject.name]!;
  const ratios: Record<string, Ratio> = { aa: ratioOfPairs(own, samples.warrenAgain!) };
  for (const peer of peers) ratios[peer.name] = ratioOfPairs(own, samples[peer.name]!);
  if (coldPairs > 0) ratios.coldBoot = ratioOfPairs(own.slice(0, coldPairs), samples.coldBoot!);
  const loadvm = peers.find((peer) => peer instanceof LoadvmSide);
  const libvirtSleep = samples.managedsave!;
  if (libvirtSleep.length > 0) ratios.managedsave = ratioOfPairs(samples.suspend!, libvirtSleep);
  return {
    figures: {
      'suspend.timesFasterThanManagedsave': ratios.managedsave?.low ?? null,
      'resume.timesFasterThanLoadvm': ratios.loadvm?.low ?? null,
      'resume.timesFasterThanLibvirt': ratios.libvirt?.low ?? null,
      'resume.timesFasterThanColdBoot': ratios.coldBoot?.low ?? null,
    },
    ratios,
    samples,
    awakeReplyMs: Math.min(...awake),
    savevmMs: loadvm?.savevmMs ?? [],
    notes: [mediansNote({ ...samples, savevm: loadvm?.savevmMs ?? [] }), stepsNote(steps)],
  };
}

function mediansNote(samples: Record<string, number[]>): string {
  const known = Object.entries(samples).filter(([, values]) => values.length > 0);
  return `medians, ms: ${known.map(([name, values]) => `${name} ${Math.round(summarize(values).p50)}`).join(', ')}`;
}

/** hostd's own account of its last wake-ups: where the time goes. Not claimed. */
function stepsNote(steps: Record<string, number>[]): string {
  const names = Object.keys(steps[0] ?? {});
  const medians = names.map((name) => `${name} ${Math.round(summarize(steps.map((one) => one[name] ?? 0)).p50)}`);
  return `hostd's steps of a resume, ms after the request, median: ${medians.join(', ')}`;
}

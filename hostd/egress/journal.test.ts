import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EgressJournal, type NewEntry } from './journal.ts';

const MACHINE = 'mch_0000000001';
const OTHER = 'mch_0000000002';
const log = pino({ level: 'silent' });
const anEntry = (host: string): NewEntry => ({
  decision: 'deny',
  reason: 'not_listed',
  method: 'CONNECT',
  host,
  port: 443,
  path: null,
  status: 403,
  bytesUp: 0,
  bytesDown: 0,
  rule: null,
  secrets: [],
});

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'warren-journal-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const open = () => EgressJournal.open(dir, log);
const feedOf = (journal: EgressJournal, max = 100) =>
  journal.uncollected(max).map(({ machineId, entry }) => `${machineId === MACHINE ? 'a' : 'b'}${entry.seq} ${entry.host}`);

describe('EgressJournal', () => {
  it('offers each decision until it was collected, in the order of its machine', async () => {
    const journal = await open();
    const [first, second] = [journal.begin(MACHINE), journal.begin(OTHER)];
    first.add(anEntry('one'));
    second.add(anEntry('two'));
    first.add(anEntry('three'));
    await journal.settled();
    expect(feedOf(journal)).toEqual(['a1 one', 'a2 three', 'b1 two']);
    expect(feedOf(journal, 2)).toEqual(['a1 one', 'a2 three']);
    journal.collected(MACHINE, 1);
    journal.collected(MACHINE, 1);
    journal.collected('mch_unknown0001', 9);
    expect(feedOf(journal)).toEqual(['a2 three', 'b1 two']);
    expect(first.after(0).map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it('goes on after a kill, with every decision and no number given twice', async () => {
    const former = await open();
    const machine = former.begin(MACHINE);
    for (const host of ['one', 'two', 'three']) machine.add(anEntry(host));
    await former.settled();
    former.collected(MACHINE, 2);
    const next = await open();
    next.begin(MACHINE).add(anEntry('four'));
    await next.settled();
    // What was collected may be offered again; whoever stores it knows the number.
    expect(feedOf(next)).toEqual(['a1 one', 'a2 two', 'a3 three', 'a4 four']);
  });

  it('offers nothing that a crash could take back', async () => {
    const journal = await open();
    journal.begin(MACHINE).add(anEntry('one'));
    expect(feedOf(journal)).toEqual([]);
    await journal.settled();
    expect(feedOf(journal)).toEqual(['a1 one']);
  });

  it('reads past a line that a crash cut', async () => {
    const former = await open();
    former.begin(MACHINE).add(anEntry('one'));
    await former.settled();
    await appendFile(path.join(dir, `${MACHINE}.jsonl`), '{"seq":2,"deci');
    const next = await open();
    next.begin(MACHINE).add(anEntry('two'));
    await next.settled();
    expect(feedOf(await open())).toEqual(['a1 one', 'a2 two']);
  });

  it('keeps what it cannot write, and writes it when it can', async () => {
    const journal = await open();
    await mkdir(path.join(dir, `${MACHINE}.jsonl`));
    const machine = journal.begin(MACHINE);
    machine.add(anEntry('one'));
    await journal.settled();
    expect(feedOf(journal)).toEqual([]);
    await rm(path.join(dir, `${MACHINE}.jsonl`), { recursive: true });
    await vi.waitFor(() => expect(feedOf(journal)).toEqual(['a1 one']), { timeout: 10_000 });
    expect(feedOf(await open())).toEqual(['a1 one']);
  });

  it('keeps of a machine that is gone its last number alone once all was collected, and not before', async () => {
    const journal = await open();
    journal.begin(MACHINE).add(anEntry('one'));
    await journal.settled();
    journal.end(MACHINE);
    await journal.settled();
    expect(feedOf(journal)).toEqual(['a1 one']);
    journal.collected(MACHINE, 1);
    await journal.settled();
    expect(await readFile(path.join(dir, `${MACHINE}.jsonl`), 'utf8')).toBe('{"seq":1}\n');
    expect(feedOf(journal)).toEqual([]);
  });

  it('gives a running machine’s file back its size, and its numbers go on', async () => {
    const journal = await open();
    const machine = journal.begin(MACHINE);
    for (let n = 0; n < 2_000; n += 1) machine.add(anEntry('a-host-name.example.com'));
    await journal.settled();
    const file = path.join(dir, `${MACHINE}.jsonl`);
    expect((await stat(file)).size).toBeGreaterThan(256 * 1024);
    journal.collected(MACHINE, 2_000);
    await vi.waitFor(async () => expect(await readFile(file, 'utf8')).toBe('{"seq":2000}\n'));
    const next = await open();
    next.begin(MACHINE).add(anEntry('more'));
    await next.settled();
    expect(feedOf(next)).toEqual(['a2001 more']);
  });

  it('gives a file back its size while there is always something left to collect', async () => {
    const journal = await open();
    const machine = journal.begin(MACHINE);
    const file = path.join(dir, `${MACHINE}.jsonl`);
    for (let n = 0; n < 2_000; n += 1) machine.add(anEntry('a-host-name.example.com'));
    await journal.settled();
    machine.add(anEntry('one-more'));
    journal.collected(MACHINE, 1_999);
    await journal.settled();
    expect((await stat(file)).size).toBeLessThan(2_000);
    expect(feedOf(journal)).toEqual(['a2000 a-host-name.example.com', 'a2001 one-more']);
    const next = await open();
    expect(feedOf(next)).toEqual(['a2000 a-host-name.example.com', 'a2001 one-more']);
    next.begin(MACHINE).add(anEntry('after'));
    await next.settled();
    expect(feedOf(next).at(-1)).toBe('a2002 after');
  });

  it('goes on without a file that it cannot read, and keeps it', async () => {
    const former = await open();
    former.begin(OTHER).add(anEntry('one'));
    await former.settled();
    await mkdir(path.join(dir, `${MACHINE}.jsonl`));
    const journal = await open();
    expect(feedOf(journal)).toEqual(['b1 one']);
    expect(await readdir(dir)).toEqual([`${MACHINE}.jsonl.unreadable`, `${OTHER}.jsonl`]);
    journal.begin(MACHINE).add(anEntry('two'));
    await journal.settled();
    expect(feedOf(await open())).toContain('a1000000001 two');
    expect(await readdir(dir)).toContain(`${MACHINE}.jsonl.unreadable`);
  });

  it('does not begin the numbers of a machine anew when it is taken up again', async () => {
    const journal = await open();
    journal.begin(MACHINE).add(anEntry('one'));
    await journal.settled();
    journal.collected(MACHINE, 1);
    journal.end(MACHINE);
    await journal.settled();
    journal.begin(MACHINE).add(anEntry('two'));
    await journal.settled();
    expect(feedOf(journal)).toEqual(['a2 two']);
    journal.collected(MACHINE, 2);
    journal.end(MACHINE);
    await journal.settled();
    const next = await open();
    next.begin(MACHINE).add(anEntry('three'));
    await next.settled();
    expect(feedOf(next).at(-1)).toBe('a3 three');
  });

  it('keeps no more than it may, and says in the log how much it did not', async () => {
    const journal = await open();
    const machine = journal.begin(MACHINE);
    for (let n = 0; n < 20_050; n += 1) machine.add(anEntry('a'));
    await journal.settled();
    expect(journal.uncollected(30_000)).toHaveLength(20_000);
    journal.collected(MACHINE, 10);
    machine.add(anEntry('later'));
    await journal.settled();
    const [dropped, later] = journal.uncollected(30_000).slice(-2);
    expect(dropped?.entry).toMatchObject({ decision: 'deny', reason: 'log_full', host: '50 requests refused, not logged' });
    expect(later?.entry).toMatchObject({ host: 'later', seq: 20_002 });
  });

  it('is full when nobody collects, and not when somebody does', async () => {
    const journal = await open();
    const machine = journal.begin(MACHINE);
    for (let n = 0; n < 20_000; n += 1) machine.add(anEntry('a'));
    expect(machine.isFull).toBe(true);
    expect(machine.after(0)).toHaveLength(1_000);
    await journal.settled();
    journal.collected(MACHINE, 10);
    expect(machine.isFull).toBe(false);
  });

  it('drops what nobody collected for weeks, and files that are not its own', async () => {
    await writeFile(path.join(dir, `${MACHINE}.jsonl`), '{"seq":1}\n');
    await writeFile(path.join(dir, `${MACHINE}.jsonl.ab12.new`), '');
    await utimes(path.join(dir, `${MACHINE}.jsonl`), 0, 0);
    await open();
    expect(await readdir(dir)).toEqual([]);
  });

  it('tells of news', async () => {
    const journal = await open();
    const heard = vi.fn();
    const forget = journal.onNews(heard);
    const machine = journal.begin(MACHINE);
    machine.add(anEntry('one'));
    await journal.settled();
    expect(heard).toHaveBeenCalledTimes(1);
    forget();
    machine.add(anEntry('two'));
    await journal.settled();
    expect(heard).toHaveBeenCalledTimes(1);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerFrame, parseLine, promptFrame } from './frames.ts';

describe('parseLine', () => {
  it.each([
    ['{', 'not JSON'],
    ['Loading model…', 'not JSON'],
    ['[]', 'not a JSON-RPC message'],
    ['{"jsonrpc":"2.0"}', 'neither a request nor a response'],
  ])('refuses %s', (line, reason) => {
    expect(parseLine(line)).toEqual({ ok: false, reason });
  });

  it.each([
    ['{"id":7,"result":{"stopReason":"end_turn"}}', { kind: 'result', id: 7, result: { stopReason: 'end_turn' } }],
    ['{"id":7,"error":{"code":-32000,"message":"no"}}', { kind: 'error', id: 7, error: { code: -32000, message: 'no' } }],
    ['{"id":"a","method":"m","params":1}', { kind: 'request', id: 'a', method: 'm', params: 1 }],
    ['{"method":"session/update","params":{}}', { kind: 'notification', method: 'session/update', params: {} }],
  ])('reads %s', (line, frame) => {
    expect(parseLine(line)).toMatchObject({ ok: true, frame });
  });

  it('replaces what the database cannot store', () => {
    expect(parseLine('{"id":1,"result":"a\\u0000b\\ud800"}')).toMatchObject({ ok: true, raw: { result: 'a\uFFFDb\uFFFD' } });
  });

  it('never throws, whatever the guest writes', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => typeof parseLine(line).ok === 'boolean'));
    expect(parseLine('['.repeat(200_000)).ok).toBe(false);
    expect(parseLine(`${'['.repeat(200_000)}${']'.repeat(200_000)}`).ok).toBe(false);
  });
});

describe('answerFrame', () => {
  const ask = (options: unknown) =>
    answerFrame({ kind: 'request', id: 3, method: 'session/request_permission', params: { options } });

  it('allows once where it can, else however the agent lets it', () => {
    const always = { optionId: 'always', kind: 'allow_always' };
    expect(ask([always, { optionId: 'once', kind: 'allow_once' }])).toMatchObject({
      id: 3,
      result: { outcome: { outcome: 'selected', optionId: 'once' } },
    });
    expect(ask([{ optionId: 'no', kind: 'reject_once' }, always])).toMatchObject({ result: { outcome: { optionId: 'always' } } });
  });

  it('cancels when nothing can be allowed or the request is malformed', () => {
    expect(ask([{ optionId: 'no', kind: 'reject_once' }])).toMatchObject({ result: { outcome: { outcome: 'cancelled' } } });
    expect(ask('garbage')).toMatchObject({ result: { outcome: { outcome: 'cancelled' } } });
  });

  it('refuses what was never offered', () => {
    const answer = answerFrame({ kind: 'request', id: 4, method: 'fs/read_text_file', params: {} });
    expect(answer).toMatchObject({ id: 4, error: { code: -32601 } });
  });
});

describe('promptFrame', () => {
  it('is one line whatever the text', () => {
    expect(JSON.stringify(promptFrame(1, 's', 'a\nb\u2028c'))).not.toContain('\n');
  });
});

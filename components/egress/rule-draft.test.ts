import { describe, expect, it } from 'vitest';
import { draftOf, NEW_RULE, readDraft, ruleFor } from './rule-draft.ts';

const STORED = {
  id: 'rul_1',
  host: 'api.example.com',
  ports: [443, 8443],
  mode: 'inspect' as const,
  methods: ['GET' as const],
  paths: ['/v1/**', '/v2'],
  webSocket: true,
  requestBytesMax: null,
  responseBytesMax: null,
};

describe('the rule form', () => {
  it('gives back the rule it was opened with', () => {
    const { rule, errors } = readDraft(draftOf(STORED));
    const { id: _, requestBytesMax: __, responseBytesMax: ___, ...expected } = STORED;
    expect([rule, errors]).toEqual([expected, {}]);
  });

  it.each([
    [{ host: '' }, 'host'],
    [{ ports: '' }, 'ports'],
    [{ ports: '443, https' }, 'ports'],
    [{ mode: 'inspect' as const, paths: '/a\n/../b' }, 'paths'],
  ])('says what is wrong with %j at its field', (set, field) => {
    expect(Object.keys(readDraft({ ...NEW_RULE, host: 'a.example', ...set }).errors)).toEqual([field]);
  });

  it('leaves out what a spliced host cannot be held to', () => {
    const { rule } = readDraft({ ...draftOf(STORED), mode: 'splice' });
    expect(rule).toMatchObject({ methods: null, paths: null, webSocket: false });
  });

  it('offers the narrowest rule for what was refused', () => {
    const denied = { host: 'a.example', port: 443, method: 'POST', path: '/v1' };
    expect(ruleFor({ ...denied, reason: 'not_listed' })).toMatchObject({
      host: 'a.example',
      ports: '443',
      mode: 'splice',
      methods: [],
    });
    expect(ruleFor({ ...denied, reason: 'method' })).toMatchObject({ mode: 'inspect', methods: ['POST'], paths: '/v1' });
    expect(ruleFor({ ...denied, reason: 'websocket' })).toMatchObject({ webSocket: true });
  });
});

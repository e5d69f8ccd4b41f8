import { describe, expect, it } from 'vitest';
import { HOST_CORPUS } from '../../hostd/contract/testing/host-corpus.ts';
import { type EgressRuleInput, egressRuleInputSchema, hostPatternSchema } from './contract.ts';

const RULE: EgressRuleInput = {
  host: 'api.example.com',
  ports: [443],
  mode: 'inspect',
  methods: null,
  paths: null,
  webSocket: false,
};
const read = (set: Partial<EgressRuleInput>) => {
  const parsed = egressRuleInputSchema.safeParse({ ...RULE, ...set });
  return parsed.success ? parsed.data : parsed.error.issues.map(({ path, message }) => [path[0], message]);
};

describe('a rule as people write it', () => {
  it('comes out in the form that the proxy compares', () => {
    expect(
      read({ host: ' *.Bücher.Example. ', ports: [8443, 443, 443], methods: ['GET', 'GET'], paths: ['/%61/**', '/a/**'] }),
    ).toEqual({
      ...RULE,
      host: '*.xn--bcher-kva.example',
      ports: [443, 8443],
      methods: ['GET'],
      paths: ['/a/**'],
    });
  });

  it('reads every host of the corpus as the proxy does, or refuses it', () => {
    for (const { text, is } of HOST_CORPUS) {
      // People paste blanks around a name and mean the name; the wildcard is a pattern here.
      if (text !== text.trim() || text.startsWith('*.')) continue;
      const parsed = hostPatternSchema.safeParse(text);
      const allowed = is?.kind === 'name' && is.name.includes('.') && !is.name.endsWith('.warren.internal');
      expect(parsed.success ? parsed.data : null, text).toBe(allowed && is.kind === 'name' ? is.name : null);
    }
  });

  it.each([
    ['https://example.com/', 'without https://'],
    ['example.com/v1', 'paths have a field'],
    ['example.com:443', 'ports have a field'],
    ['git*.example.com', 'stands alone in front'],
    ['10.0.0.1', 'Addresses are never allowed'],
    ['localhost', 'private network'],
    ['models.warren.internal', 'need no rule'],
    ['', 'Enter a host'],
  ])('says what is wrong with the host %j', (host, why) => {
    expect(read({ host })).toEqual([['host', expect.stringContaining(why)]]);
  });

  it.each([
    [{ ports: [] }, 'ports'],
    [{ ports: [0] }, 'ports'],
    [{ ports: [1.5] }, 'ports'],
    [{ ports: [65536] }, 'ports'],
    [{ methods: [] }, 'methods'],
    [{ paths: [] }, 'paths'],
    [{ paths: ['/a/../b'] }, 'paths'],
    [{ paths: ['a'] }, 'paths'],
    [{ paths: ['/a**'] }, 'paths'],
    [{ mode: 'splice' as const, methods: ['GET' as const] }, 'mode'],
    [{ mode: 'splice' as const, webSocket: true }, 'mode'],
  ])('refuses %j at its field', (set, field) => {
    expect(read(set)).toEqual([[field, expect.any(String)]]);
  });
});

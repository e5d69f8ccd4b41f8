import { describe, expect, it } from 'vitest';
import { newDataKey, openValue, SealError, sealValue, unwrapDataKey, wrapDataKey } from './envelope.ts';
import { makeKeyring } from './keyring.ts';

const OLD = 'the-key-of-last-year-0123456789abcdef';
const NEW = 'the-key-of-this-year-0123456789abcdef';
const BINDING = { orgId: 'org_1', secretId: 'sec_1', host: 'api.example.com', header: 'authorization', plainHttp: false };

describe('values', () => {
  const key = newDataKey();

  it('open to what they were, and look different each time', () => {
    const [first, second] = [sealValue(key, BINDING, 'Bearer ü'), sealValue(key, BINDING, 'Bearer ü')];
    expect(openValue(key, BINDING, first)).toBe('Bearer ü');
    expect(first).not.toEqual(second);
    expect(Buffer.from(first).includes('Bearer')).toBe(false);
  });

  it.each([{ orgId: 'org_2' }, { secretId: 'sec_2' }, { host: 'evil.example.com' }, { header: 'x-other' }, { plainHttp: true }])(
    'do not open as another’s: %j',
    (moved) => {
      expect(() => openValue(key, { ...BINDING, ...moved }, sealValue(key, BINDING, 'v'))).toThrow(SealError);
    },
  );

  it('do not open when any byte was changed, cut or added, and the error says nothing of them', () => {
    const sealed = sealValue(key, BINDING, 'a-secret-value');
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = sealed.slice();
      changed[at]! ^= 1;
      expect(() => openValue(key, BINDING, changed)).toThrow(SealError);
    }
    for (const changed of [sealed.slice(0, -1), sealed.slice(0, 10), new Uint8Array(0), new Uint8Array([...sealed, 0])]) {
      expect(() => openValue(key, BINDING, changed)).toThrow(/^the ciphertext/);
    }
  });
});

describe('data keys', () => {
  it('open with the key that wrapped them, current or previous, and for their organization only', () => {
    const dataKey = newDataKey();
    const wrapped = wrapDataKey(makeKeyring(OLD), 'org_1', dataKey);
    expect(unwrapDataKey(makeKeyring(NEW, [OLD]), 'org_1', wrapped)).toEqual(dataKey);
    expect(() => unwrapDataKey(makeKeyring(OLD), 'org_2', wrapped)).toThrow(SealError);
    expect(() => unwrapDataKey(makeKeyring(NEW), 'org_1', wrapped)).toThrow('WARREN_SECRETS_KEY_PREVIOUS');
    expect(wrapDataKey(makeKeyring(NEW, [OLD]), 'org_1', dataKey).wrappedBy).not.toBe(wrapped.wrappedBy);
  });
});

import { describe, expect, it } from 'vitest';
import { replicateSchema, storeKeySchema } from '../../hostd/contract/replicas.ts';
import { replicationOf, storeKeyOf, storeKeysOf } from './store-key.ts';

const SECRETS = ['the current secret, of many characters', 'a former secret, of many characters'];

describe('the key of an org', () => {
  it('is the same each time, another for each org and each secret, and fits the contract', () => {
    const key = storeKeyOf(SECRETS[0]!, 'org_1');
    expect(storeKeySchema.parse(key)).toEqual(storeKeyOf(SECRETS[0]!, 'org_1'));
    const others = [storeKeyOf(SECRETS[0]!, 'org_2'), storeKeyOf(SECRETS[1]!, 'org_1')];
    for (const other of others) {
      expect(other.id).not.toBe(key.id);
      expect(other.secret).not.toBe(key.secret);
    }
  });

  it('does not name the org', () => {
    expect(storeKeyOf(SECRETS[0]!, 'org_acme').id).not.toContain('acme');
  });

  it('of the current secret is used for new copies, those of former ones for finding older ones', () => {
    expect(storeKeysOf(SECRETS, 'org_1').map(({ id }) => id)).toEqual(SECRETS.map((secret) => storeKeyOf(secret, 'org_1').id));
    const asked = replicationOf(SECRETS, 'org_1', 'ses_1')!;
    expect(replicateSchema.parse(asked)).toMatchObject({ key: storeKeyOf(SECRETS[0]!, 'org_1'), group: 'ses_1' });
    expect(replicationOf([], 'org_1', 'ses_1')).toBeUndefined();
  });
});

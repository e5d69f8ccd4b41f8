import { BlockList, isIP } from 'node:net';

/** Not on the public internet, or not what it seems (translation and tunnel prefixes that can hide a private address). */
const V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // The metadata and wire server of one cloud has a public address.
  '168.63.129.16/32',
];
const V6 = [
  '::/96',
  '::ffff:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];

const v4 = toBlockList(V4, 'ipv4');
const v6 = toBlockList(V6, 'ipv6');

function toBlockList(subnets: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [address = '', prefix] = subnet.split('/');
    list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** Whether a machine must never be connected to this address. True for anything that is not an address at all. */
export function isPrivateAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return v4.check(address, 'ipv4');
    case 6:
      return v6.check(address, 'ipv6');
    default:
      return true;
  }
}

/** Whether it is one of `addresses`, in whatever spelling. */
export function isAmong(addresses: readonly string[], address: string): boolean {
  const family = familyOf(address);
  if (!family) return false;
  const list = new BlockList();
  for (const one of addresses) if (familyOf(one) === family) list.addAddress(one, family);
  return list.check(address, family);
}

function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  const version = isIP(address);
  return version === 0 ? null : version === 4 ? 'ipv4' : 'ipv6';
}

import { describe, expect, it } from 'vitest';
import { isAmong, isPrivateAddress } from './private-address.ts';

describe('isPrivateAddress', () => {
  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '100.100.100.200',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '168.63.129.16',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::a00:1',
    '2002:a00:1::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'ff02::1',
    '2001:db8::1',
    'localhost',
    '',
    '127.1',
  ])('refuses %j', (address) => {
    expect(isPrivateAddress(address)).toBe(true);
  });

  it.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.32.0.1',
    '172.15.255.255',
    '100.63.0.1',
    '100.128.0.1',
    '192.169.0.1',
    '2606:4700::1111',
    '2a00:1450::1',
  ])('lets %j pass', (address) => {
    expect(isPrivateAddress(address)).toBe(false);
  });
});

describe('isAmong', () => {
  const OWN = ['203.0.114.7', '2a00:1450:4001::7', 'not an address'];
  it.each(['203.0.114.7', '2a00:1450:4001::7', '2a00:1450:4001:0:0:0:0:7'])('knows %s', (address) => {
    expect(isAmong(OWN, address)).toBe(true);
  });
  it.each(['203.0.114.8', '2a00:1450:4001::8', 'not an address'])('does not know %s', (address) => {
    expect(isAmong(OWN, address)).toBe(false);
  });
});

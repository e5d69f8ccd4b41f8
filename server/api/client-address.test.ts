import { expect, it } from 'vitest';
import { clientAddress } from './client-address.ts';

it.each([
  ['192.0.2.1', '192.0.2.1'],
  ['made-up, 203.0.113.9,192.0.2.1', '192.0.2.1'],
  [['made-up', 'of two headers, 192.0.2.1 '], '192.0.2.1'],
  ['', 'unknown'],
  [null, 'unknown'],
  [undefined, 'unknown'],
])('of %j, what the proxy before us saw counts', (header, address) => {
  expect(clientAddress(header)).toBe(address);
});

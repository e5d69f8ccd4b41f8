import type { ParsedHost } from '../canonical-host.ts';

/*
 * What people and hostile clients write for a host, and the one thing each of them is. The parser, the API's validation and the
 * proxy are all run against this list, so that none of them can come to read a host in its own way.
 */
type Case = { text: string; is: ParsedHost | null };

const names: Record<string, string> = {
  'example.com': 'example.com',
  'EXAMPLE.Com': 'example.com',
  'example.com.': 'example.com',
  localhost: 'localhost',
  '_dmarc.example.com': '_dmarc.example.com',
  'git.warren.internal': 'git.warren.internal',
  // Other scripts, in one form each.
  'bücher.example': 'xn--bcher-kva.example',
  'XN--BCHER-KVA.example': 'xn--bcher-kva.example',
  'faß.de': 'xn--fa-hia.de',
  'ΕΛΛΗΝΙΚΑ.gr': 'xn--mxahgifdar.gr',
  'ｅｘａｍｐｌｅ.com': 'example.com',
  'ﬁ.com': 'fi.com',
  // Cyrillic letters that look Latin are another name, and show as one.
  'раураl.com': 'xn--l-7sba6dbr.com',
};

const addresses: Record<string, string> = {
  '127.0.0.1': '127.0.0.1',
  '127.1': '127.0.0.1',
  '1.2.3': '1.2.0.3',
  '2130706433': '127.0.0.1',
  '0x7f000001': '127.0.0.1',
  '0x7f.0.0.1': '127.0.0.1',
  '0x7f.1': '127.0.0.1',
  '0177.0.0.1': '127.0.0.1',
  '127.0.0.0x1': '127.0.0.1',
  '127.0.0.1.': '127.0.0.1',
  '１２７.0.0.1': '127.0.0.1',
  '①②⑦.⓪.⓪.①': '127.0.0.1',
  '0': '0.0.0.0',
  '8.8.8.8': '8.8.8.8',
  '2852039166': '169.254.169.254',
  '[::1]': '::1',
  '[0:0:0:0:0:0:0:1]': '::1',
  '[::ffff:10.0.0.1]': '::ffff:a00:1',
  '[::127.0.0.1]': '::7f00:1',
  '[2001:DB8::1]': '2001:db8::1',
};

const neither = [
  '',
  '.',
  '..',
  '.example.com',
  'example..com',
  'example.com..',
  'exa mple.com',
  ' example.com',
  'example.com\n',
  // NUL, raw and encoded: one parser stops there and the next does not.
  'a\u0000',
  'example.com\0.evil.com',
  'example.com%00.evil.com',
  '%65xample.com',
  // More than a host.
  'user@example.com',
  'example.com@evil.com',
  'user:password@example.com',
  'example.com:80',
  'example.com/evil',
  'example.com\\evil',
  'example.com#',
  'example.com?',
  '//example.com',
  'https://example.com',
  // Dots and letters that only some parsers take for ASCII ones.
  'example。com',
  'a．com',
  'example.com\u3002',
  'ⓔxample.com',
  '℀.com',
  'exam\u00adple.com',
  'exa\u200bmple.com',
  'I♥.com',
  'xn--.example',
  '-bad.example',
  'bad-.example',
  // Addresses that are none.
  '1.2.3.4.5',
  '1..2',
  '256.256.256.256',
  '4294967296',
  '1.2.3.999',
  'example.123',
  'example.0x7f',
  '::1',
  '[::1',
  '[::1]:443',
  '[fe80::1%eth0]',
  '[::1].example.com',
  '[::1]/[x]',
  '[1.2.3.4]',
  '[]',
  // A pattern is no host.
  '*',
  '*.example.com',
  `${'a'.repeat(64)}.com`,
  `${'a.'.repeat(130)}com`,
];

export const HOST_CORPUS: readonly Case[] = [
  ...Object.entries(names).map(([text, name]) => ({ text, is: { kind: 'name', name } as ParsedHost })),
  ...Object.entries(addresses).map(([text, address]) => ({ text, is: { kind: 'address', address } as ParsedHost })),
  ...neither.map((text) => ({ text, is: null })),
];

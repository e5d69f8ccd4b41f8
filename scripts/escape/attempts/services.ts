import type { Category, ProbeAttempt, Through } from '../attempt.ts';
import { GRANT } from '../bait.ts';
import type { World } from '../world.ts';

/** What reached a service must be under the service's own path and carry this machine's grant and no other claim. */
const altered = (_reply: unknown, { bait }: World, token: string): Through => {
  for (const { method, url, headers } of bait.served.filter((served) => served.url.includes(token))) {
    if (!/^\/(git|models|npm)\//.test(url)) return `a path outside the service: ${url}`;
    if (url.startsWith('/npm/') && method !== 'GET' && method !== 'HEAD') return `${method} to a read-only service`;
    const claims = Object.keys(headers).filter((name) => /^(cookie|x-warren|x-forwarded|forwarded|x-real-ip|proxy-)/.test(name));
    if (claims.length > 0) return `the guest’s own ${claims.join(', ')}`;
    if (!url.startsWith('/npm/') && headers.authorization !== GRANT) return `the credential ${headers.authorization}`;
  }
  return null;
};
const raw = (name: string, ...send: string[]): ProbeAttempt => ({ name, probe: { kind: 'proxy', send }, through: altered });
const ask = (name: string, url: string, ...headers: string[]) =>
  raw(name, `GET ${url} HTTP/1.1\r\n${['Host: x', ...headers].join('\r\n')}\r\n\r\n`);
const write = (method: string, ...headers: string[]) =>
  `${method} http://npm.warren.internal/{token} HTTP/1.1\r\n${['Host: x', 'Content-Length: 1', ...headers].join('\r\n')}\r\n\r\nx`;

const GIT = 'http://git.warren.internal';
const OTHERS = 'Bearer grant-of-another-machine';

export const services: Category = {
  name: 'services',
  about: 'another machine’s grant, made-up identity headers, paths out of a service, writing to what is read-only',
  attempts: [
    ask('another machine’s grant', `${GIT}/{token}`, `Authorization: ${OTHERS}`),
    ask('another machine’s grant, twice', `${GIT}/{token}`, `Authorization: ${OTHERS}`, `AUTHORIZATION: ${OTHERS}`),
    ask('another machine’s grant for the proxy', `${GIT}/{token}`, `Proxy-Authorization: ${OTHERS}`),
    ask('the proxy’s grant taken out by Connection', `${GIT}/{token}`, 'Connection: authorization, close'),
    ask('the proxy’s grant taken out by an underscore', `${GIT}/{token}`, `Authorization_: ${OTHERS}`, 'X_Warren_Grant: a'),
    ask('made-up headers', `${GIT}/{token}`, 'X-Warren-Org: other', 'X-Warren-Machine: {victim}', 'X-Warren-Grant: a'),
    ask('made-up addresses', `${GIT}/{token}`, 'X-Forwarded-For: 127.0.0.1', 'Forwarded: for=127.0.0.1', 'X-Real-IP: ::1'),
    ask('a person’s cookie', `${GIT}/{token}`, 'Cookie: next-auth.session-token=a'),
    ask('a path above', `${GIT}/../{token}`),
    ask('a path above, encoded', `${GIT}/%2e%2e/{token}`),
    ask('a path above, half encoded', `${GIT}/.%2E/.%2e/{token}`),
    ask('a path above behind a backslash', `${GIT}/..\\..\\{token}`),
    ask('a path above with a parameter', `${GIT}/..;/{token}`),
    ask('a path that looks like a host', `${GIT}//localhost:{bait}/{token}`),
    ask('a path that is an address', `${GIT}/http://localhost:{bait}/{token}`),
    ask('a query instead of a path', `${GIT}?/../{token}`),
    ask('a service by another’s Host', 'http://models.warren.internal/{token}', 'Host: git.warren.internal'),
    ask('a name under a service’s', 'http://x.git.warren.internal/{token}'),
    ask('a name that ends like a service’s', 'http://evilgit.warren.internal/{token}'),
    ask('a service that another machine has', 'http://admin.warren.internal/{token}'),
    raw('PUT to the registry', write('PUT')),
    raw('POST to the registry', write('POST')),
    raw('DELETE on the registry', write('DELETE')),
    raw('a method of its own to the registry', write('PURGE')),
    raw(
      'PUT to the registry through a tunnel',
      'CONNECT npm.warren.internal:80 HTTP/1.1\r\n\r\n',
      write('PUT').replace('http://npm.warren.internal', ''),
    ),
  ],
  controls: [
    {
      name: 'a request to a service, seen there with the grant',
      probe: { kind: 'proxy', send: [`GET ${GIT}/{token} HTTP/1.1\r\nHost: x\r\nAuthorization: ${OTHERS}\r\n\r\n`] },
      through: (_reply, { bait }, token) =>
        bait.served.some(({ url, headers }) => url === `/git/${token}` && headers.authorization === GRANT) ? 'seen' : null,
    },
  ],
};

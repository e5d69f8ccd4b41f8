import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/*
 * The smallest S3 that the contract suite needs, for one bucket, in memory. It checks what a real one checks of a request:
 * signature version 4 over method, path, query, headers and body, its time, the body's SHA-256 and its MD5. It was written
 * because no S3 server that is looked after can be installed here as a package small enough for a test (docs/adr/0008).
 */
export const TEST_CREDENTIALS = { accessKeyId: 'AKTEST', secretAccessKey: 'a-secret-for-tests-only' };
export const TEST_BUCKET = 'warren';
const PAGE_KEYS = 10;
const SKEW_MS_MAX = 15 * 60_000;

type Stored = { bytes: Buffer; modifiedAt: Date };

export class S3TestServer {
  readonly objects = new Map<string, Stored>();
  readonly #server = createServer((req, res) => void this.#serve(req, res));
  /** Answers the next so many requests with 503. */
  failures = 0;
  /** Cuts the next so many downloads off in the middle. */
  cuts = 0;
  /** How far its clock is ahead of this computer's. */
  aheadMs = 0;

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of req as AsyncIterable<Buffer>) parts.push(part);
    const body = Buffer.concat(parts);
    const url = new URL(req.url ?? '/', 'http://s3');
    const now = new Date(Date.now() + this.aheadMs);
    res.setHeader('date', now.toUTCString());
    const wrong = whatIsWrong(req, url, body, now);
    if (wrong) return refuse(res, wrong.status, wrong.code, req.method === 'HEAD');
    if (this.failures > 0) {
      this.failures -= 1;
      return refuse(res, 503, 'SlowDown');
    }
    const [, bucket, ...rest] = decodeURIComponent(url.pathname).split('/');
    if (bucket !== TEST_BUCKET) return refuse(res, 404, 'NoSuchBucket');
    const key = rest.join('/');
    if (key === '') return this.#list(url, res);
    return this.#object(req, res, key, body);
  }

  #object(req: IncomingMessage, res: ServerResponse, key: string, body: Buffer): void {
    if (req.method === 'PUT') {
      this.objects.set(key, { bytes: body, modifiedAt: new Date() });
      return void res.writeHead(200, { etag: `"${md5(body, 'hex')}"` }).end();
    }
    if (req.method === 'DELETE') {
      this.objects.delete(key);
      return void res.writeHead(204).end();
    }
    const found = this.objects.get(key);
    if (!found) return void refuse(res, 404, 'NoSuchKey', req.method === 'HEAD');
    const asked = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '');
    if (asked && Number(asked[1]) >= found.bytes.length) return void refuse(res, 416, 'InvalidRange');
    const bytes = asked ? found.bytes.subarray(Number(asked[1]), Number(asked[2]) + 1) : found.bytes;
    res.writeHead(asked ? 206 : 200, { 'content-length': bytes.length, 'last-modified': found.modifiedAt.toUTCString() });
    if (req.method === 'HEAD') return void res.end();
    if (this.cuts > 0) {
      this.cuts -= 1;
      return void res.write(bytes.subarray(0, bytes.length / 2), () => res.destroy());
    }
    res.end(bytes);
  }

  #list(url: URL, res: ServerResponse): void {
    const prefix = url.searchParams.get('prefix') ?? '';
    const after = url.searchParams.get('continuation-token') ?? '';
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = keys.slice(0, PAGE_KEYS);
    const rows = page.map((key) => {
      const { bytes, modifiedAt } = this.objects.get(key)!;
      return `<Contents><Key>${key}</Key><Size>${bytes.length}</Size><LastModified>${modifiedAt.toISOString()}</LastModified></Contents>`;
    });
    const more = keys.length > page.length;
    const next = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
    res.writeHead(200, { 'content-type': 'application/xml' });
    res.end(`<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${rows.join('')}</ListBucketResult>`);
  }
}

function refuse(res: ServerResponse, status: number, code: string, withoutBody = false): void {
  res.writeHead(status, { 'content-type': 'application/xml' });
  res.end(withoutBody ? undefined : `<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
}

type Refusal = { status: number; code: string };

function whatIsWrong(req: IncomingMessage, url: URL, body: Buffer, now: Date): Refusal | null {
  const bodySha256 = String(req.headers['x-amz-content-sha256']);
  if (bodySha256 !== 'UNSIGNED-PAYLOAD' && bodySha256 !== sha256(body)) return { status: 400, code: 'XAmzContentSHA256Mismatch' };
  const contentMd5 = req.headers['content-md5'];
  if (req.method === 'PUT' && contentMd5 !== md5(body, 'base64')) return { status: 400, code: 'BadDigest' };
  if (!isSigned(req, url, bodySha256)) return { status: 403, code: 'SignatureDoesNotMatch' };
  const signedAt = String(req.headers['x-amz-date']).replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const isTimely = Math.abs(Date.parse(signedAt) - now.getTime()) <= SKEW_MS_MAX;
  return isTimely ? null : { status: 403, code: 'RequestTimeTooSkewed' };
}

function isSigned(req: IncomingMessage, url: URL, bodySha256: string): boolean {
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      req.headers.authorization ?? '',
    );
  if (!found || found[1] !== TEST_CREDENTIALS.accessKeyId) return false;
  const [, , day, region, signedHeaders, signature] = found as unknown as [string, string, string, string, string, string];
  const names = signedHeaders.split(';');
  if (!names.includes('host') || !names.includes('x-amz-content-sha256') || !names.includes('x-amz-date')) return false;
  const query = [...url.searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const headers = names.map((name) => `${name}:${String(req.headers[name]).trim()}\n`).join('');
  const request = [req.method, url.pathname, query, headers, signedHeaders, bodySha256].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', req.headers['x-amz-date'], scope, sha256(request)].join('\n');
  let key: Buffer = Buffer.from(`AWS4${TEST_CREDENTIALS.secretAccessKey}`);
  for (const part of [day, region, 's3', 'aws4_request']) key = createHmac('sha256', key).update(part).digest();
  return timingSafeEqual(createHmac('sha256', key).update(text).digest(), Buffer.from(signature, 'hex'));
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function md5(data: Buffer, encoding: 'hex' | 'base64'): string {
  return createHash('md5').update(data).digest(encoding);
}

import { createHash } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';

const MEDIA = 'application/vnd.docker';
const BLOCK_BYTES = 512;

const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/**
 * A registry with one image of one layer that holds one file, as far as a pull asks: `GET /v2/`, the manifest by tag or digest and
 * two blobs. Everything else is 404.
 */
export function tinyRegistry(image: string, file: { name: string; text: string }): RequestListener {
  const layer = tarOf(file);
  const blob = gzipSync(layer);
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
      history: [{ created: '2026-01-01T00:00:00Z' }],
    }),
  );
  const part = (mediaType: string, bytes: Buffer) => ({ mediaType, size: bytes.length, digest: digestOf(bytes) });
  const mediaType = `${MEDIA}.distribution.manifest.v2+json`;
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: part(`${MEDIA}.container.image.v1+json`, config),
      layers: [part(`${MEDIA}.image.rootfs.diff.tar.gzip`, blob)],
    }),
  );
  const answers = new Map<string, Buffer>([['/v2/', Buffer.from('{}')]]);
  for (const name of ['latest', digestOf(manifest)]) answers.set(`/v2/${image}/manifests/${name}`, manifest);
  for (const bytes of [config, blob]) answers.set(`/v2/${image}/blobs/${digestOf(bytes)}`, bytes);
  return (req, res) => {
    const bytes = answers.get(req.url ?? '');
    if (!bytes) return void res.writeHead(404).end();
    const type = bytes === manifest ? mediaType : 'application/octet-stream';
    res.writeHead(200, {
      'content-type': type,
      'content-length': bytes.length,
      'docker-content-digest': digestOf(bytes),
      'docker-distribution-api-version': 'registry/2.0',
    });
    res.end(req.method === 'HEAD' ? undefined : bytes);
  };
}

/** A tar archive (ustar) of one plain file. */
function tarOf({ name, text }: { name: string; text: string }): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  head.write(name, 0);
  head.write(octal(0o644, 7) + octal(0, 7) + octal(0, 7) + octal(body.length, 11) + octal(0, 11), 100);
  head.write(`${' '.repeat(8)}0`, 148);
  head.write('ustar\x0000', 257);
  const sum = head.reduce((all, byte) => all + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((BLOCK_BYTES - (body.length % BLOCK_BYTES)) % BLOCK_BYTES);
  return Buffer.concat([head, body, padding, Buffer.alloc(2 * BLOCK_BYTES)]);
}

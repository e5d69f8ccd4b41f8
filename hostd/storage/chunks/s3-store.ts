import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { type ListedObject, ObjectMissing, type ObjectStore, type Range, requireLength, StoreFailure } from './object-store.ts';

export type S3Options = {
  bucket: string;
  /** Before every key, without slashes at its ends; empty for none. */
  prefix: string;
  region: string;
  /** Null for AWS. Another endpoint is addressed by path, which every server understands. */
  endpoint: string | null;
  /** Absent: what the SDK finds in the environment, in files, or from the cloud the host runs in. */
  credentials?: S3ClientConfig['credentials'];
};

const REQUEST_MS_MAX = 120_000;
const CONNECT_MS_MAX = 10_000;

/**
 * Objects in a bucket. Each is at most a pack, so one request writes it whole: there are no multipart uploads that could be
 * left half done and paid for. Their transport is checked by MD5, their content by whoever opens them.
 */
export class S3Store implements ObjectStore {
  readonly location: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor(options: S3Options) {
    const { bucket, prefix, region, endpoint, credentials } = options;
    this.#bucket = bucket;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    this.location = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}${endpoint === null ? '' : ` at ${endpoint}`}`;
    this.#client = new S3Client({
      region,
      ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
      ...(credentials === undefined ? {} : { credentials }),
      // retrying-store.ts does it for every store, so that one place decides how long.
      maxAttempts: 1,
      // Servers other than AWS do not all know the newer checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { requestTimeout: REQUEST_MS_MAX, connectionTimeout: CONNECT_MS_MAX },
    });
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const ContentMD5 = createHash('md5').update(bytes).digest('base64');
    await this.#ask(key, () => this.#client.send(new PutObjectCommand({ ...this.#at(key), Body: bytes, ContentMD5 })));
  }

  async get(key: string, range?: Range): Promise<Buffer> {
    if (range?.length === 0) return Buffer.alloc(0);
    const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const { bytes, told } = await this.#ask(key, async () => {
      const reply = await this.#client.send(new GetObjectCommand({ ...this.#at(key), Range }));
      if (!reply.Body) throw new StoreFailure(`${this.location}: ${key} came without a body`, { retryable: true });
      return { bytes: Buffer.from(await reply.Body.transformToByteArray()), told: reply.ContentLength };
    });
    return requireLength(key, bytes, range?.length ?? told ?? bytes.length);
  }

  async size(key: string): Promise<number | null> {
    try {
      const { ContentLength } = await this.#ask(key, () => this.#client.send(new HeadObjectCommand(this.#at(key))));
      return ContentLength ?? 0;
    } catch (error) {
      if (error instanceof ObjectMissing) return null;
      throw error;
    }
  }

  async *list(prefix: string): AsyncIterable<ListedObject> {
    let ContinuationToken: string | undefined;
    do {
      const command = new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: this.#prefix + prefix, ContinuationToken });
      const page = await this.#ask(prefix, () => this.#client.send(command));
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key === undefined || LastModified === undefined) continue;
        yield { key: Key.slice(this.#prefix.length), bytes: Size ?? 0, modifiedAtMs: LastModified.getTime() };
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  async remove(key: string): Promise<void> {
    await this.#ask(key, () => this.#client.send(new DeleteObjectCommand(this.#at(key)))).catch((error: unknown) => {
      if (!(error instanceof ObjectMissing)) throw error;
    });
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  async #ask<T>(key: string, request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      if (error instanceof StoreFailure) throw error;
      if (error instanceof S3ServiceException && (error.name === 'NoSuchKey' || error.name === 'NotFound'))
        throw new ObjectMissing(key);
      const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
      // Without a status nothing was answered: the connection broke.
      const retryable =
        status === undefined ? !isSetUpWrong(error) : status >= 500 || status === 429 || status === 408 || mayFitNext(error);
      const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      // An answer without a body, as to HEAD, has no name: then its status is all that is known.
      const answer = status === undefined ? '' : ` (HTTP ${status})`;
      throw new StoreFailure(`${this.location}: ${key}: ${reason}${answer}`, { retryable, cause: error });
    }
  }
}

function isSetUpWrong(error: unknown): boolean {
  return error instanceof Error && error.name === 'CredentialsProviderError';
}

/**
 * The bytes were changed on their way, or this host's clock is wrong: the SDK corrects it by the server's answer. That it did is
 * what tells it from other refusals where the answer has no body to name the error.
 */
function mayFitNext(error: unknown): boolean {
  if (!(error instanceof S3ServiceException)) return false;
  if (error.$metadata.httpStatusCode === 403 && 'clockSkewCorrected' in error.$metadata) return true;
  return error.name === 'RequestTimeTooSkewed' || error.name === 'BadDigest';
}

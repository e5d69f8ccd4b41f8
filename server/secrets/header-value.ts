import type { NewSecretValue, SecretScheme } from './contract.ts';

/** The header's whole value, as it is encrypted and later sent. */
export function headerValue(scheme: SecretScheme, { userName, value }: NewSecretValue): string {
  switch (scheme) {
    case 'bearer':
      return `Bearer ${value}`;
    case 'basic':
      return `Basic ${Buffer.from(`${userName}:${value}`).toString('base64')}`;
    case 'raw':
      return value;
  }
}

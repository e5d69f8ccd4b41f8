import type { MachinePurpose, Secret } from '../../prisma/generated/client.ts';
import { type AuditAction, recordAudit } from '../audit/record.ts';
import type { Tx } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import { newId } from '../ids.ts';
import { enqueue } from '../jobs/enqueue.ts';
import { type NewSecret, type NewSecretValue, SECRETS_MAX } from './contract.ts';
import { ensureDataKey } from './data-key.ts';
import { openValue, type SecretBinding, sealValue } from './envelope.ts';
import { headerValue } from './header-value.ts';
import type { Keyring } from './keyring.ts';

type By = { orgId: string; actor: string };

/** What people may see of a secret: everything but its value. */
export type SecretView = Omit<Secret, 'sealed' | 'orgId' | 'createdById'> & { createdBy: string };

export async function listSecrets(tx: Tx): Promise<SecretView[]> {
  const rows = await tx.secret.findMany({ omit: { sealed: true }, orderBy: [{ host: 'asc' }, { header: 'asc' }] });
  const people = await tx.user.findMany({
    where: { id: { in: [...new Set(rows.map((row) => row.createdById))] } },
    select: { id: true, name: true, email: true },
  });
  const nameOf = new Map(people.map((person) => [person.id, person.name ?? person.email]));
  return rows.map(({ orgId: _, createdById, ...row }) => ({ ...row, createdBy: nameOf.get(createdById) ?? createdById }));
}

/** @throws AppError `conflict` when the host has a secret under that header already */
export async function createSecret(tx: Tx, keyring: Keyring, by: By, input: NewSecret): Promise<string> {
  const { orgId, actor } = by;
  const { name, host, header, scheme, plainHttp, purposes } = input;
  const taken = await tx.secret.findFirst({ where: { host, header } });
  if (taken) {
    throw new AppError('conflict', {
      publicMessage: `${host} has a secret for ${header} already: ${taken.name}. Replace its value, or remove it first.`,
      details: { field: 'header' },
    });
  }
  if ((await tx.secret.count()) >= SECRETS_MAX) {
    throw new AppError('conflict', {
      publicMessage: `There are ${SECRETS_MAX} secrets, the most there can be. Remove one first.`,
    });
  }
  const id = newId('secret');
  const binding = { orgId, secretId: id, host, header, plainHttp };
  const sealed = new Uint8Array(sealValue(await ensureDataKey(tx, keyring, orgId), binding, headerValue(scheme, input)));
  const secret = await tx.secret.create({
    data: { id, orgId, name, host, header, scheme, plainHttp, purposes, sealed, createdById: actor },
  });
  await changed(tx, by, 'secret.created', secret);
  return id;
}

export async function setSecretValue(
  tx: Tx,
  keyring: Keyring,
  by: By,
  { secretId, now, ...value }: NewSecretValue & { secretId: string; now: Date },
): Promise<void> {
  const secret = await tx.secret.findUnique({ where: { id: secretId } });
  if (!secret) throw notFound('secret');
  const dataKey = await ensureDataKey(tx, keyring, by.orgId);
  const sealed = new Uint8Array(sealValue(dataKey, bindingOf(secret), headerValue(secret.scheme, value)));
  await tx.secret.update({ where: { id: secretId }, data: { sealed, setAt: now } });
  await changed(tx, by, 'secret.value_set', secret);
}

export async function removeSecret(tx: Tx, by: By, secretId: string): Promise<void> {
  const secret = await tx.secret.findUnique({ where: { id: secretId } });
  if (!secret) throw notFound('secret');
  await tx.secret.delete({ where: { id: secretId } });
  await changed(tx, by, 'secret.removed', secret);
}

/** In the audit log go name, host and header; the running machines are told. */
async function changed(tx: Tx, { orgId, actor }: By, action: AuditAction, { id, name, host, header }: Secret): Promise<void> {
  await recordAudit(tx, { orgId, actor, action, target: id, details: { name, host, header } });
  await enqueue(tx, 'apply-egress', { orgId });
}

/** A secret with its value, on its way to the host that runs the machine. Goes nowhere else. */
export type OpenSecret = { id: string; host: string; header: string; value: string; plainHttp: boolean };

/**
 * Those that a machine of this purpose gets.
 *
 * @throws SealError when one does not open: then no machine may go on without it
 */
export async function openSecretsFor(tx: Tx, keyring: Keyring, orgId: string, purpose: MachinePurpose): Promise<OpenSecret[]> {
  const rows = await tx.secret.findMany({ where: { purposes: { has: purpose } } });
  if (rows.length === 0) return [];
  const dataKey = await ensureDataKey(tx, keyring, orgId);
  return rows.map((row) => {
    const { id, host, header, plainHttp } = row;
    return { id, host, header, plainHttp, value: openValue(dataKey, bindingOf(row), row.sealed) };
  });
}

function bindingOf({ orgId, id, host, header, plainHttp }: Secret): SecretBinding {
  return { orgId, secretId: id, host, header, plainHttp };
}

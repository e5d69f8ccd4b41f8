'use client';
import { useQuery } from '@tanstack/react-query';
import { File, Folder, FolderSymlink } from 'lucide-react';
import NextLink from 'next/link';
import { Fragment } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { formatBytes } from '../ui/format.ts';
import { Link } from '../ui/link.tsx';
import { LinkPending } from '../ui/link-pending.tsx';
import { Markdown } from '../ui/markdown.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';

type Props = { slug: string; name: string; path: string; file: string | null };

/** Files of the default branch: one file, or one directory with its README. */
export function CodeBrowser({ slug, name, path, file }: Props) {
  const { org } = useOrg();
  const base = `/${org.slug}/repositories/${slug}`;
  const linkTo = (to: string, isFile = false) =>
    to === '' ? base : `${base}?${isFile ? 'file' : 'path'}=${encodeURIComponent(to)}`;
  return (
    <>
      <Breadcrumbs name={name} path={file ?? path} linkTo={linkTo} />
      {file === null ? <Directory slug={slug} path={path} linkTo={linkTo} /> : <FileView slug={slug} path={file} />}
    </>
  );
}

type DirectoryProps = { slug: string; path: string; linkTo: (path: string, isFile?: boolean) => string };

function Directory({ slug, path, linkTo }: DirectoryProps) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const tree = useQuery(trpc.repositories.tree.queryOptions({ org: org.slug, repo: slug, path }));
  if (tree.isPending) return <Loading label="Reading files" />;
  if (tree.error) return <ErrorNote error={tree.error} />;
  const readme = tree.data.entries.find((entry) => entry.kind === 'file' && /^readme(\.md)?$/i.test(entry.name));
  return (
    <>
      <ul className="overflow-hidden rounded-lg border bg-surface">
        {tree.data.entries.map((entry) => {
          const Icon = { directory: Folder, file: File, symlink: FolderSymlink, submodule: FolderSymlink }[entry.kind];
          return (
            <li key={entry.path} className="border-b last:border-b-0">
              <NextLink
                href={linkTo(entry.path, entry.kind !== 'directory')}
                className="flex items-center gap-2.5 px-3 py-1.5 hover:bg-hover focus-visible:-outline-offset-2"
              >
                <Icon className="size-3.5 shrink-0 text-faint" aria-hidden />
                <span className="min-w-0 flex-1 truncate">{entry.name}</span>
                <LinkPending />
                {entry.bytes !== null && <span className="text-faint text-xs tabular-nums">{formatBytes(entry.bytes)}</span>}
              </NextLink>
            </li>
          );
        })}
      </ul>
      {readme && <Readme slug={slug} path={readme.path} />}
    </>
  );
}

function Breadcrumbs({ name, path, linkTo }: { name: string; path: string; linkTo: (path: string) => string }) {
  if (path === '') return null;
  const parts = path.split('/');
  return (
    <nav aria-label="Path" className="mb-2 flex flex-wrap items-center gap-1 font-mono text-xs">
      <Link href={linkTo('')}>{name}</Link>
      {parts.map((part, index) => {
        const to = parts.slice(0, index + 1).join('/');
        return (
          <Fragment key={to}>
            <span className="text-faint">/</span>
            {index === parts.length - 1 ? <span aria-current="page">{part}</span> : <Link href={linkTo(to)}>{part}</Link>}
          </Fragment>
        );
      })}
    </nav>
  );
}

function FileView({ slug, path }: { slug: string; path: string }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const file = useQuery(trpc.repositories.file.queryOptions({ org: org.slug, repo: slug, path }, { retry: false }));
  if (file.isPending) return <Loading label="Reading the file" />;
  if (file.error) return <ErrorNote error={file.error} title={`${path} is not on the default branch.`} />;
  const { text, binary, truncated, bytes } = file.data;
  if (binary)
    return (
      <p className="rounded-lg border bg-surface px-3 py-6 text-center text-muted">A binary file of {formatBytes(bytes)}.</p>
    );
  const lines = text.replace(/\n$/, '').split('\n');
  return (
    <div className="overflow-x-auto rounded-lg border bg-surface">
      <table className="w-full font-mono text-xs leading-[19px]">
        <tbody>
          {lines.map((line, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
            <tr key={index}>
              <td className="w-10 select-none pr-3 pl-2 text-right text-2xs text-faint tabular-nums">{index + 1}</td>
              <td className="whitespace-pre pr-3">{line}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {truncated && <p className="border-t px-3 py-2 text-muted">Only the first part of {formatBytes(bytes)} is shown.</p>}
    </div>
  );
}

function Readme({ slug, path }: { slug: string; path: string }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const file = useQuery(trpc.repositories.file.queryOptions({ org: org.slug, repo: slug, path }));
  if (!file.data || file.data.binary) return null;
  return (
    <article aria-label={path} className="mt-4 rounded-lg border bg-surface px-5 py-4">
      <Markdown text={file.data.text} className="text-base" />
    </article>
  );
}

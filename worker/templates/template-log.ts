import { withOrg } from '../../server/db.ts';
import { publishNotice } from '../../server/realtime/publish.ts';
import { lastBytes } from '../acp/tool-content.ts';
import type { WorkerDeps } from '../deps.ts';

const LOG_BYTES_MAX = 256 * 1024;
const FLUSH_MS = 1000;

/** A template's build log as it grows: written to its row at most once a second, the end of it kept. */
export class TemplateLog {
  private readonly deps: WorkerDeps;
  private readonly template: { id: string; orgId: string; repositoryId: string };
  private text = '';
  private timer: NodeJS.Timeout | null = null;
  private writing: Promise<void> = Promise.resolve();

  constructor(deps: WorkerDeps, template: { id: string; orgId: string; repositoryId: string }) {
    this.deps = deps;
    this.template = template;
  }

  add(text: string) {
    this.text = lastBytes(this.text + text, LOG_BYTES_MAX);
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.writing = this.writing.then(() => this.write());
    }, FLUSH_MS);
  }

  line(text: string) {
    this.add(`${this.text === '' || this.text.endsWith('\n') ? '' : '\n'}${text}\n`);
  }

  /** Everything added so far is in the row when this resolves. */
  async flush(): Promise<void> {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    await this.writing;
    await this.write();
  }

  private async write(): Promise<void> {
    const { id, orgId, repositoryId } = this.template;
    await withOrg(this.deps.db, orgId, async (tx) => {
      await tx.template.updateMany({ where: { id }, data: { log: this.text } });
      publishNotice(tx, { kind: 'repository', orgId, repositoryId });
    }).catch((error: unknown) =>
      this.deps.log.warn({ event: 'template.log_not_written', err: error }, 'template log not written'),
    );
  }
}

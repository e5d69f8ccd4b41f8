import { describe, expect, it } from 'vitest';
import { parseUnified } from './parse-unified.ts';

const DIFF = `diff --git a/src/money.ts b/src/money.ts
index 1111111..2222222 100644
--- a/src/money.ts
+++ b/src/money.ts
@@ -3,3 +3,4 @@ export function format() {
 one
-two
+2
+--- not a header
 three
diff --git a/new.txt b/new.txt
new file mode 100644
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+hello
\\ No newline at end of file
diff --git a/logo.png b/logo.png
deleted file mode 100644
Binary files a/logo.png and /dev/null differ
diff --git a/old name.md b/new name.md
similarity index 100%
rename from old name.md
rename to new name.md
`;

describe('parseUnified', () => {
  const files = parseUnified(DIFF);

  it('finds every file with what happened to it', () => {
    expect(files.map(({ path, oldPath, status, binary }) => ({ path, oldPath, status, binary }))).toEqual([
      { path: 'src/money.ts', oldPath: null, status: 'modified', binary: false },
      { path: 'new.txt', oldPath: null, status: 'added', binary: false },
      { path: 'logo.png', oldPath: null, status: 'deleted', binary: true },
      { path: 'new name.md', oldPath: 'old name.md', status: 'renamed', binary: false },
    ]);
  });

  it('numbers lines on both sides and counts what changed', () => {
    expect(files[0]).toMatchObject({ additions: 2, deletions: 1 });
    expect(files[0]?.hunks[0]?.lines).toEqual([
      { kind: 'context', text: 'one', oldLine: 3, newLine: 3 },
      { kind: 'del', text: 'two', oldLine: 4, newLine: null },
      { kind: 'add', text: '2', oldLine: null, newLine: 4 },
      { kind: 'add', text: '--- not a header', oldLine: null, newLine: 5 },
      { kind: 'context', text: 'three', oldLine: 5, newLine: 6 },
    ]);
  });

  it('reads as far as a cut-off diff goes', () => {
    expect(parseUnified(DIFF.slice(0, 150))[0]?.path).toBe('src/money.ts');
    expect(parseUnified('')).toEqual([]);
  });
});

'use client';
import { useEffect, useRef } from 'react';
import { useIsDark } from '../layout/theme.tsx';
import { monaco } from './monaco.ts';

type Props = { model: monaco.editor.ITextModel; readOnly: boolean; onSave: () => void };

/** Monaco on one model at a time; where each was scrolled to is kept. */
export function CodeEditor({ model, readOnly, onSave }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<monaco.editor.IStandaloneCodeEditor | null>(null);
  const views = useRef(new Map<string, monaco.editor.ICodeEditorViewState | null>());
  const save = useRef(onSave);
  save.current = onSave;
  const isDark = useIsDark();

  useEffect(() => {
    if (!host.current) return;
    const made = monaco.editor.create(host.current, {
      automaticLayout: true,
      fontFamily: '"JetBrains Mono Variable", ui-monospace, monospace',
      fontSize: 12.5,
      lineHeight: 20,
      minimap: { enabled: false },
      scrollBeyondLastLine: false,
      renderLineHighlight: 'line',
      padding: { top: 8, bottom: 8 },
      lineNumbersMinChars: 4,
      overviewRulerLanes: 0,
      // A file opens with the cursor on its first word, and all its like would be marked.
      occurrencesHighlight: 'off',
      smoothScrolling: false,
      fixedOverflowWidgets: true,
    });
    made.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.KeyS, () => save.current());
    editor.current = made;
    return () => {
      // The models belong to the open files.
      made.setModel(null);
      made.dispose();
      editor.current = null;
    };
  }, []);

  useEffect(() => {
    const shown = editor.current;
    if (!shown || model.isDisposed()) return;
    const key = model.uri.toString();
    shown.setModel(model);
    shown.restoreViewState(views.current.get(key) ?? null);
    shown.focus();
    return () => {
      if (editor.current) views.current.set(key, shown.saveViewState());
    };
  }, [model]);

  useEffect(() => monaco.editor.setTheme(isDark ? 'warren-dark' : 'warren-light'), [isDark]);
  useEffect(() => editor.current?.updateOptions({ readOnly }), [readOnly]);

  return <div ref={host} data-own-keys className="min-h-0 flex-1" />;
}

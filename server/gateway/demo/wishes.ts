import { expectPass, fence, publish } from './publish.ts';
import { type Script, tail } from './script.ts';
import { enclosingFunction, indentOf, patchCommand } from './source.ts';

export type Wish =
  | { kind: 'rename'; from: string; to: string }
  | { kind: 'document'; text: string | null }
  | { kind: 'constant'; name: string | null };

/** What a person asks for in plain words, when it is one of the few things the script understands. */
export function parseWish(text: string): Wish | null {
  const rename = /\brename\s+[`'"“]?(\w+)[`'"”]?\s+(?:to|into|as)\s+[`'"“]?(\w+)/i.exec(text);
  if (rename) return { kind: 'rename', from: rename[1] ?? '', to: rename[2] ?? '' };
  if (/\b(magic number|named constant|constant|name (this|the) number)\b/i.test(text)) {
    return { kind: 'constant', name: /\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/.exec(text)?.[0] ?? null };
  }
  if (/\b(doc(ument|umentation|string)?|jsdoc|comment|explain)\b/i.test(text)) {
    return { kind: 'document', text: /:\s*([^:\n]{10,200}?)\s*$/.exec(text.trim())?.[1] ?? null };
  }
  return null;
}

export type Place = { path: string; line: number };

/** Does it, runs the tests and the type check, publishes, and returns the answer to the person who asked. */
export function* fulfilWish(wish: Wish, place: Place | null): Script {
  if (wish.kind === 'rename') return yield* rename(wish);
  if (!place) return 'I would need to know which line is meant. I changed nothing.';
  const shown = yield { say: `I look at ${place.path}, line ${place.line}.`, run: `cat '${place.path.replaceAll("'", '')}'` };
  const lines = shown.output.trimEnd().split('\n');
  if (shown.exitCode !== 0 || lines[place.line - 1] === undefined)
    return `I could not read line ${place.line} of ${place.path}; I changed nothing.`;
  return wish.kind === 'document' ? yield* document(wish, place, lines) : yield* extractConstant(wish, place, lines);
}

function* rename({ from, to }: Extract<Wish, { kind: 'rename' }>): Script {
  const applied = yield {
    say: `I rename \`${from}\` to \`${to}\` wherever it is used.`,
    run: `git grep -lw '${from}' -- '*.ts' '*.md' | xargs -r sed -i 's/\\b${from}\\b/${to}/g' && git diff --stat --exit-code && echo 'nothing changed'`,
  };
  // --exit-code makes 1 the good case: there is a difference.
  if (applied.exitCode !== 1) return `I found no \`${from}\` to rename, so I changed nothing.`;
  return yield* finish(`Rename ${from} to ${to}`, `Done: \`${from}\` is \`${to}\` everywhere now.`);
}

function* document(wish: Extract<Wish, { kind: 'document' }>, place: Place, lines: string[]): Script {
  const target = enclosingFunction(lines, place.line);
  if (!target)
    return `Line ${place.line} of ${place.path} is not in a function I recognise; I only know how to document functions. I changed nothing.`;
  if ((lines[target.line - 2] ?? '').includes('*/')) return `\`${target.name}\` has a doc comment already; I changed nothing.`;
  const text = wish.text ?? phraseOf(target.name, target.params);
  const applied = yield {
    say: `I add a doc comment to \`${target.name}\`.`,
    run: patchCommand(place.path, lines, target.line, target.line - 1, [
      `/** ${text.replaceAll('*/', '* /').replace(/([^.!?])$/, '$1.')} */`,
    ]),
  };
  if (applied.exitCode !== 0) return `My edit of ${place.path} could not be applied:\n\n${fence(tail(applied.output))}`;
  return yield* finish(`Document ${target.name}`, `Done: \`${target.name}\` has a doc comment now.`);
}

function* extractConstant(wish: Extract<Wish, { kind: 'constant' }>, place: Place, lines: string[]): Script {
  const line = lines[place.line - 1] ?? '';
  const literal = /(?<![\w.$])\d{2,}(?![\w.])/.exec(line)?.[0];
  if (!literal) return `I see no number on line ${place.line} of ${place.path} that could become a constant; I changed nothing.`;
  const target = enclosingFunction(lines, place.line);
  const name = wish.name ?? `${(target?.name ?? 'value').replaceAll(/([A-Z])/g, '_$1').toUpperCase()}_${literal}`;
  const from = target?.line ?? place.line;
  const replaced = lines.slice(from - 1, place.line);
  replaced[replaced.length - 1] = line.replace(new RegExp(`(?<![\\w.$])${literal}(?![\\w.])`), name);
  const applied = yield {
    say: `I give ${literal} a name: \`${name}\`.`,
    run: patchCommand(place.path, lines, from, place.line, [
      `${indentOf(lines[from - 1] ?? '')}const ${name} = ${literal};`,
      '',
      ...replaced,
    ]),
  };
  if (applied.exitCode !== 0) return `My edit of ${place.path} could not be applied:\n\n${fence(tail(applied.output))}`;
  return yield* finish(`Name the constant ${name}`, `Done: ${literal} is \`${name}\` now.`);
}

function* finish(subject: string, answer: string): Script {
  const trouble =
    (yield* expectPass('npm test', 'I run the tests.')) ??
    (yield* expectPass('npm run --if-present typecheck', 'And the type check.')) ??
    (yield* publish(subject));
  return trouble ?? `${answer} Tests and types pass; it is pushed.`;
}

/** `formatPrice(cents, currency)` becomes “Format price from `cents` and `currency`”, `costOf(sku)` “Cost of `sku`”. */
function phraseOf(name: string, params: readonly string[]): string {
  const words = name
    .replaceAll(/([A-Z])/g, ' $1')
    .toLowerCase()
    .trim();
  const link = /\b(by|for|from|in|of|to|with)$/.test(words) ? ' ' : ' from ';
  const from = params.length > 0 ? `${link}${params.map((param) => `\`${param}\``).join(' and ')}` : '';
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${from}`;
}

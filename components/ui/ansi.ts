// CSI and OSC sequences, and the two-character ones.
// biome-ignore lint/suspicious/noControlCharactersInRegex: matches terminal control sequences
const SEQUENCES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]/g;

/** Program output as plain text: no colours, and of a line rewritten with carriage returns only what stayed. */
export function stripAnsi(text: string): string {
  return text
    .replace(SEQUENCES, '')
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => (line.includes('\r') ? line.slice(line.replace(/\r+$/, '').lastIndexOf('\r') + 1).replace(/\r+$/, '') : line))
    .join('\n');
}

import type { ITheme } from '@xterm/xterm';

/** The screen's colours; close to the pages' own, as xterm cannot read CSS variables. */
export const TERMINAL_THEMES: Record<'light' | 'dark', ITheme> = {
  light: {
    background: '#ffffff',
    foreground: '#23222b',
    cursor: '#5a46c7',
    selectionBackground: '#5a46c73d',
    black: '#23222b',
    red: '#b3261e',
    green: '#1d6f42',
    yellow: '#845400',
    blue: '#2552c4',
    magenta: '#8a2fa8',
    cyan: '#0b6b78',
    white: '#5d5c68',
    brightBlack: '#6d6c78',
  },
  dark: {
    background: '#18171d',
    foreground: '#e6e5ea',
    cursor: '#a79bf0',
    selectionBackground: '#a79bf040',
    black: '#3a3944',
    red: '#f2857d',
    green: '#7ccf9a',
    yellow: '#e2b765',
    blue: '#8fb2ff',
    magenta: '#d69bea',
    cyan: '#79cfdb',
    white: '#d3d2d9',
    brightBlack: '#85848f',
  },
};

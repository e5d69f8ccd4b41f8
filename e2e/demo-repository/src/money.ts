export type Currency = 'EUR' | 'USD';

const SYMBOLS: Record<Currency, string> = { EUR: '€', USD: '$' };

export function formatPrice(cents: number, currency: Currency = 'EUR'): string {
  const sign = cents < 0 ? '-' : '';
  const whole = Math.floor(Math.abs(cents) / 100);
  const rest = Math.abs(cents) % 100;
  return `${sign}${SYMBOLS[currency]}${whole}.${rest}`;
}

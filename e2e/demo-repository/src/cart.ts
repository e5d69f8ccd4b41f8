export type CartLine = { sku: string; quantity: number; unitCents: number };

export type Cart = { lines: CartLine[] };

export function cartTotal(cart: Cart): number {
  const sum = cart.lines.reduce((cents, line) => cents + line.quantity * line.unitCents, 0);
  return sum >= 5000 ? sum : sum + 490;
}

export function costOf(cart: Cart, sku: string): number {
  const line = cart.lines.find((candidate) => candidate.sku === sku);
  return line.quantity * line.unitCents;
}

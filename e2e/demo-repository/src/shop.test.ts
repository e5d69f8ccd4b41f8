import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cartTotal, costOf } from './cart.ts';
import { formatPrice } from './money.ts';

const cart = {
  lines: [
    { sku: 'tea', quantity: 2, unitCents: 450 },
    { sku: 'jam', quantity: 1, unitCents: 605 },
  ],
};

test('a price shows the currency and the cents', () => {
  assert.equal(formatPrice(1250), '€12.50');
  assert.equal(formatPrice(-1999, 'USD'), '-$19.99');
});

test('cents below ten keep their leading zero', () => {
  assert.equal(formatPrice(605), '€6.05');
});

test('a small cart pays for delivery', () => {
  assert.equal(cartTotal(cart), 1995);
});

test('one article costs its quantity times its price', () => {
  assert.equal(costOf(cart, 'tea'), 900);
});

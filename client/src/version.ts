/** What this client says of itself in Hello. */
export const PRODUCT = 'iommud-client';
export const PRODUCT_VERSION = '0.1.0';

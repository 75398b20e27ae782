/** What this client says of itself in Hello. */
export const PRODUCT = 'iommud-client';
export const PRODUCT_VERSION = '0.1.0';
/** The contract that it speaks. The major number must be the server's. */
export const CONTRACT_VERSION = '1.0';

/** The version of the contract in `iommud/v1`: both ends say it in Hello, and the major numbers must be equal. */
export const CONTRACT_VERSION = '1.2';

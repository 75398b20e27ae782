/** The product's version: that of the package. */
import { createRequire } from 'node:module';

// By its own name, so that the same line works in the sources and in a built tree.
const manifest = createRequire(import.meta.url)('iommud/package.json') as { readonly version: string };

export const VERSION = manifest.version;

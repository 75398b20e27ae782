"""The client without its I/O: bytes in, bytes out. Both faces stand on it."""

/**
 * The bounds of both ends, each with its reason. docs/limits.md is made from this file by proto/limits-page.mjs.
 * Units end the names: Bytes, Chars, Ms; without one it is a count.
 */

// ---- Messages and frames

/** Bytes of `data` of one call or reply. Larger transfers are split by the client; keeps one peer from holding the loop. */
export const DMA_BYTES_MAX = 1 << 20;
/** Bytes of one message. The largest `data` with room for its body and the envelope; another is closed with 1009. */
export const FRAME_BYTES_MAX = DMA_BYTES_MAX + (64 << 10);
/** The least that an end may accept of them in Hello. A reply without bulk data must fit. */
export const FRAME_BYTES_MIN = 4096;
/** Bytes of one message at which the transport itself gives up (1009). A little more than a frame, so that the session can say why. */
export const MESSAGE_BYTES_MAX = FRAME_BYTES_MAX + 1024;
/** Bytes after which a sender starts another packet. Larger ones bring no more speed and let the receiver wait. */
export const PACKET_BYTES_MAX = 256 << 10;
/** Bytes at which a packet leaves before its tick ends: its receiver works on it while the next is made. */
export const PACKET_BYTES_ENOUGH = 64 << 10;
/** Frames in one packet. What 256 KiB of the smallest calls hold; bounds the work that one message can cause. */
export const PACKET_FRAMES_MAX = 1 << 15;
/** Bytes of the body of a call, and of a peer's reply. No call needs more than a few hundred; bounds the objects that decoding makes. */
export const CALL_BODY_BYTES_MAX = 60 << 10;
/** Levels of nested messages that are decoded. The generated code's own bound, and protoc's; the contract uses four. */
export const NESTING_MAX = 100;

// ---- Strings and lists

/** Characters of a reset window's token. A UUID has 36. */
export const WINDOW_TOKEN_CHARS_MAX = 64;
/** Characters of a write of `reset_method`. All seven names with a space between them have 50. */
export const RESET_METHODS_CHARS_MAX = 256;
/** Characters of a product's name and of its version in Hello: they go into logs. */
export const PRODUCT_CHARS_MAX = 64;
/** Characters of the credentials in Hello. A signed web token with room to spare. */
export const HELLO_TOKEN_CHARS_MAX = 4096;
/** Entries of each list in Hello and Subscribe. More than there are roles, features, classes. */
export const HELLO_LIST_MAX = 64;
/** Characters of a feature's name. */
export const FEATURE_CHARS_MAX = 64;
/** Characters of the functions that a call plugs in: three with all of their configuration space in hex, and a body that still fits. */
export const PLUG_CHARS_MAX = 40 << 10;
/** Characters of the name of a page-table format. */
export const FORMAT_CHARS_MAX = 64;
/** Elements of a list in a call: allowed ranges, invalidation requests. Four pages of an invalidation queue; the next go in another call. */
export const LIST_ITEMS_MAX = 1024;
/** Translations that one translation request may ask for. 8 bytes each in one completion of 64 bytes, the smaller Read Completion Boundary. */
export const TRANSLATIONS_MAX = 8;
/** Invalidate Completions that one Invalidate Request gets: one for each traffic class, of which there are 8. */
export const COMPLETIONS_MAX = 8;
/** Characters of an error's sentence: it is for a person. */
export const ERROR_MESSAGE_CHARS_MAX = 1024;
/** Characters of what an error is about. */
export const ERROR_ABOUT_CHARS_MAX = 128;
/** UTF-8 bytes of a close reason. RFC 6455 §5.5: a control frame holds 125, two of them the code. */
export const CLOSE_REASON_BYTES_MAX = 123;

// ---- Credits

/** Control calls without a reply. They are rare, and each may wait for a reset. */
export const CREDIT_CONTROL_CALLS = 64;
/** RegionRead, RegionWrite, ConfigRead, BusRead and BusWrite without a reply. Four times the depth at which throughput stops to grow. */
export const CREDIT_ACCESS_CALLS = 1024;
/** Bytes that replies to them will carry. The whole configuration space of 256 functions. */
export const CREDIT_ACCESS_REPLY_BYTES = 1 << 20;
/** DmaRead, DmaWrite and ModelDma without a reply. A deep NVMe queue. */
export const CREDIT_DMA_CALLS = 256;
/** Bytes that replies to them will carry. Eight of the largest. */
export const CREDIT_DMA_REPLY_BYTES = 8 << 20;
/** MemoryRead, MemoryWrite and MemoryFence without a reply. As DMA, which may wait for them. */
export const CREDIT_MEMORY_CALLS = 256;
/** Bytes that replies to them will carry. Eight of the largest. */
export const CREDIT_MEMORY_REPLY_BYTES = 8 << 20;
/** Calls of the server that wait for a peer's credits. Behind it the peer is too slow and is closed with 1013. */
export const PEER_CALLS_QUEUED_MAX = 4096;
/** Calls of the server that a memory owner may ask for at once (MemoryClaim.depth). */
export const MEMORY_DEPTH_MAX = 1024;
/** The depth of an owner that asks for none. */
export const MEMORY_DEPTH = 16;

// ---- Buffers

/** Bytes received and not yet handled. Reading never stops, so this is what ends a caller that sends faster than it is served (1008). */
export const RECEIVE_BUFFER_BYTES_MAX = 64 << 20;
/** Bytes waiting to be sent. All reply bytes that credits allow and as much again for the rest. */
export const SEND_BUFFER_BYTES_MAX = 32 << 20;
/** How long a send buffer may stay above that before the connection is closed with 1013. A pause is forgiven, a stop is not. */
export const SEND_BUFFER_OVER_MS = 5000;
/** Bytes waiting to be sent above which events are dropped and counted, and interrupts coalesced. Replies go first. */
export const EVENT_BUFFER_BYTES_MAX = 1 << 20;
/** Different interrupts held back for a slow receiver; more are dropped and counted. Vectors of one MSI-X function. */
export const INTERRUPTS_HELD_MAX = 2048;
/** Events that a client keeps for an iterator that nobody reads; then the oldest go and are counted. */
export const CLIENT_EVENTS_MAX = 4096;

/** Bytes of a machine's snapshot, saved or loaded: both ends hold it whole. */
export const SNAPSHOT_BYTES_MAX = 1 << 30;

// ---- Recordings

/** Bytes of one recording; at it, it ends. Whoever replays it holds it whole. */
export const RECORDING_BYTES_MAX = 1 << 30;
/** Bytes recorded and not yet read; past it the recording ends, and the machine goes on. Some seconds of a slow disk or network. */
export const RECORDING_BUFFER_BYTES_MAX = 64 << 20;
/** Bytes after which a block of a recording is written before its tick ends. As a packet. */
export const RECORDING_BLOCK_BYTES = 64 << 10;
/** Recordings of one machine at the same time. One of the service's own, and some that are asked for. */
export const RECORDINGS_MAX = 4;

// ---- Turns and times

/** Frames of one session that are handled before others get their turn. Some 100 µs of small calls. */
export const SESSION_TURN_FRAMES_MAX = 64;
/** Bytes of replies of one session that are made before others get their turn. About 1 ms of copying. */
export const SESSION_TURN_REPLY_BYTES_MAX = 1 << 20;
/** How long a new connection may take to say Hello before it is closed with 1008. */
export const HELLO_MS_MAX = 10_000;
/** How long a peer may owe an answer, wall clock, before it no longer holds the machine's clock. */
export const PEER_WATCHDOG_MS = 30_000;
/** The longest that a claim may allow its function for the answer to a reset. A model in an RTL simulation takes its minutes. */
export const RESET_DEADLINE_MS_MAX = 600_000;
/** Answers of a peer that fit no call, or not their call, before it is closed with 1002. One is a bug to look at, and no reason to lose all others' work. */
export const PEER_MISTAKES_MAX = 16;
/** Calls in a row of a peer that is no host, refused, before it is closed with 1008; posted ones and vain Invalidate Completions are a row of their own. */
export const PEER_REFUSALS_MAX = 4096;
/** Ranges that an owner tells of in one call, which it has written itself. As many as one list of DMA has; the client makes several calls of more. */
export const DIRTY_RANGES_MAX = 256;
/** How long what a peer that vanished has left, functions and memory, may be claimed again, wall clock, before it is gone: where a machine does not say (`peerGraceMs`). */
export const PEER_GRACE_MS = 30_000;
/** The longest that a machine may say. A developer's lunch. */
export const PEER_GRACE_MS_MAX = 3_600_000;
/** How often an idle connection is pinged; one that has not answered by the next ping is ended. */
export const KEEPALIVE_MS = 15_000;
/** How long the other end may take to finish a close before the connection is cut. */
export const CLOSE_GRACE_MS = 2000;
/** Connections of one machine; another is closed with 1013. */
export const SESSIONS_MAX = 256;
